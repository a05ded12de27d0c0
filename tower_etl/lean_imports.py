"""Optional libraries that a sync does without."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec


class _HidingFinder:
    """Import finder that reports some modules as not installed."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Leave all other modules to the next finder.

        Raises:
            ModuleNotFoundError: The module is hidden.
        """
        del path, target
        if name in self._names:
            raise ModuleNotFoundError(name=name)
        return None


@contextmanager
def hidden_modules(*names: str) -> Iterator[None]:
    """Hide modules inside the context, except those that are imported already.

    pyarrow imports pandas when it converts the first Python list, to recognise pandas' types, and
    dlt imports SQLAlchemy, if it is installed, to write a URL. Both work without, and the imports
    take a fifth of the time of a sync without changes.
    """
    finder = _HidingFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
