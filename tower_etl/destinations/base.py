"""What a sync asks of the place that its rows go to, and the kinds of places there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tower_etl.destinations.dlt_pipeline import PIPELINE
from tower_etl.destinations.duckdb import DuckDBDestination
from tower_etl.destinations.duckdb_paths import DuckDBPaths, resolve_duckdb_paths
from tower_etl.destinations.errors import explained
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.schema import TableSpec


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
    def exists(self) -> bool:
        """Whether a sync was here before: then it is locked before the server is asked."""
        ...

    def validate(self) -> None:
        """Refuse what no sync could load into, before anything is made."""
        ...

    def lock(self, clock: Clock) -> AbstractContextManager[None]:
        """Keep every other sync out."""
        ...

    def package_context(self, memory: str | None = None) -> AbstractContextManager[None]:
        """Hold it for one package, and whatever loading one wants to be open.

        Args:
            memory: Limit of the database in this process, such as 400MB; None: its own.
        """
        ...

    def prepare(self) -> None:
        """Make ready what dlt writes to; what an interrupted sync committed there is kept."""
        ...

    def reset(self) -> None:
        """Throw away what was not published, with all that dlt knows of it."""
        ...

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """The pipeline of that name, which loads packages."""
        ...

    def publish(self, now: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Let readers see what was loaded; create or replace the views, and say what all means.

        Args:
            now: The end of the sync.
            specs: The tables, promoted columns included.
        """
        ...


def open_destination(place: DestinationConfig) -> Destination:
    """The destination that the settings name.

    Raises:
        ConfigurationError: It cannot be used, or what it needs is not installed.
        FileAccessError: The operating system refuses its path.
    """
    with explained(place.path or place.kind):
        return _OPENERS[place.kind](place)


def open_configured(target: DuckDBPaths | Destination) -> Destination:
    """A DuckDB file may be given as the target that it is."""
    return DuckDBDestination(target) if isinstance(target, DuckDBPaths) else target


def _open_duckdb(place: DestinationConfig) -> Destination:
    return DuckDBDestination(resolve_duckdb_paths(place.path))


def _open_lake(place: DestinationConfig) -> Destination:
    from tower_etl.destinations.lake.mirror import open_mirror  # noqa: PLC0415 formats import much

    return open_mirror(place)


def _open_postgres(place: DestinationConfig) -> Destination:
    try:
        from tower_etl.destinations.postgres import open_postgres  # noqa: PLC0415 an extra
    except ImportError as error:
        msg = f"PostgreSQL needs more ({error}): pip install 'tower-etl[postgres]'"
        raise ConfigurationError(msg) from None
    return open_postgres(place)


_OPENERS: Mapping[str, Callable[[DestinationConfig], Destination]] = {
    "duckdb": _open_duckdb,
    "parquet": _open_lake,
    "delta": _open_lake,
    "iceberg": _open_lake,
    "postgres": _open_postgres,
}
