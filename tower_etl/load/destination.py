"""What a sync asks of the place that its rows go to, and the kinds of places there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tower_etl.errors import UsageError
from tower_etl.load.duckfile import DuckFile
from tower_etl.load.failures import explained
from tower_etl.load.target import Target, find_target
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.load.place import Place
    from tower_etl.tables import Table


class Destination(Protocol):
    """A place for tables. One sync at a time holds it, loads packages into it, and publishes."""

    @property
    def title(self) -> str:
        """What messages call it."""
        ...

    @property
    def dialect(self) -> str:
        """SQL dialect of what dlt loads into, as dlt and sqlglot name it."""
        ...

    @property
    def is_begun(self) -> bool:
        """Whether a sync was here before: then it is locked before the server is asked."""
        ...

    def probe(self) -> None:
        """Refuse what no sync could load into, before anything is made."""
        ...

    def hold(self, clock: Clock) -> AbstractContextManager[None]:
        """Keep every other sync out."""
        ...

    def keep(self) -> AbstractContextManager[None]:
        """Hold it for one package, and whatever loading one wants to be open."""
        ...

    def prepare(self) -> None:
        """Make ready what dlt writes to; what an interrupted sync committed there is kept."""
        ...

    def start_over(self) -> None:
        """Throw away what was not published, with all that dlt knows of it."""
        ...

    def open_pipeline(self) -> dlt.Pipeline:
        """The pipeline that loads packages."""
        ...

    def publish(self, now: datetime, specs: Mapping[str, Table] = TABLES) -> None:
        """Let readers see what was loaded; create or replace the views, and say what all means.

        Args:
            now: The end of the sync.
            specs: The tables, promoted columns included.
        """
        ...


def open_destination(place: Place) -> Destination:
    """The destination that the settings name.

    Raises:
        UsageError: It cannot be used, or what it needs is not installed.
        FileAccessError: The operating system refuses its path.
    """
    with explained(place.path or place.kind):
        return _OPENERS[place.kind](place)


def as_destination(target: Target | Destination) -> Destination:
    """A DuckDB file may be given as the target that it is."""
    return DuckFile(target) if isinstance(target, Target) else target


def _open_duckdb(place: Place) -> Destination:
    return DuckFile(find_target(place.path))


def _open_lake(place: Place) -> Destination:
    from tower_etl.load.mirror import open_mirror  # noqa: PLC0415 formats import much

    return open_mirror(place)


def _open_postgres(place: Place) -> Destination:
    try:
        from tower_etl.load.postgres import open_postgres  # noqa: PLC0415 an extra
    except ImportError as error:
        msg = f"PostgreSQL needs more ({error}): pip install 'tower-etl[postgres]'"
        raise UsageError(msg) from None
    return open_postgres(place)


_OPENERS: Mapping[str, Callable[[Place], Destination]] = {
    "duckdb": _open_duckdb,
    "parquet": _open_lake,
    "delta": _open_lake,
    "iceberg": _open_lake,
    "postgres": _open_postgres,
}
