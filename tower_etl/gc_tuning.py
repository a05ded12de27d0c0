"""When Python looks for garbage."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SELDOM = (100_000, 50, 100)  # Python's own: 700, 10, 10


@contextmanager
def reduced_gc() -> Iterator[None]:
    """Let Python look for garbage less often.

    A page of tasks is hundreds of objects that live for seconds; looking through all of them again
    at every 700 new ones took a sixth of a sync, and a sixth of the imports, whose objects all
    stay. What is left is to be collected between packages.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
