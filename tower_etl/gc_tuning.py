"""Tuning of Python's garbage collector."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THRESHOLDS = (100_000, 50, 100)  # Python's defaults: 700, 10, 10


@contextmanager
def reduced_gc() -> Iterator[None]:
    """Run the garbage collector less often inside the context.

    A page of tasks creates hundreds of objects that live for seconds. With the default threshold of
    700 new objects, repeated scans took a sixth of the time of a sync, and a sixth of the time of
    the imports, whose objects are never freed. Callers collect the rest between packages.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
