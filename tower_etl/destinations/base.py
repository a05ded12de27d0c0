"""Interface of destinations, and the factory of the destination that settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tower_etl.destinations.dlt_pipeline import PIPELINE
from tower_etl.destinations.duckdb import DuckDBDestination
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.destinations.errors import explained
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.text import install_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.schema import TableSpec


class Destination(Protocol):
    """Destination of a sync: locked by one sync at a time, loaded package by package, published."""

    @property
    def title(self) -> str:
        """Name in messages."""
        ...

    @property
    def dialect(self) -> str:
        """SQL dialect of the database that dlt loads into, by its name in dlt and sqlglot."""
        ...

    @property
    def exists(self) -> bool:
        """Whether a sync wrote here before; if so, it is locked before the first request."""
        ...

    def validate(self) -> None:
        """Reject an unusable destination before anything is created.

        Raises:
            ConfigurationError: No sync could load into it.
        """
        ...

    def lock(self, clock: Clock) -> AbstractContextManager[None]:
        """Return a context that holds the lock against other syncs."""
        ...

    def package_context(self, memory: str | None = None) -> AbstractContextManager[None]:
        """Return a context for loading one package; it verifies the lock or keeps files open.

        Args:
            memory: Memory limit of DuckDB in this process, for example 400MB; None for its default.
        """
        ...

    def prepare(self) -> None:
        """Prepare the database that dlt loads into; keep what an interrupted sync committed."""
        ...

    def reset(self) -> None:
        """Discard everything that is not published, including dlt's state of it."""
        ...

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """Return the dlt pipeline of this name, which loads packages."""
        ...

    def publish(self, published_at: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Make the loaded rows visible to readers, and refresh the views and column comments.

        Args:
            published_at: Time of the publication (UTC).
            specs: Tables by name, with promoted columns.
        """
        ...


def open_destination(config: DestinationConfig) -> Destination:
    """Return the destination of a configuration.

    Raises:
        ConfigurationError: The destination is unusable, or a package that it needs is missing.
        FileAccessError: The operating system denies access to its path.
    """
    with explained(config.path or config.kind):
        if config.kind == "duckdb":
            return DuckDBDestination(resolve_duckdb_paths(config.path))
        if config.kind == "postgres":
            return _open_postgres(config)
        from tower_etl.destinations.lake.mirror import open_mirror  # noqa: PLC0415 extras

        return open_mirror(config)


def _open_postgres(config: DestinationConfig) -> Destination:
    try:
        from tower_etl.destinations.postgres import open_postgres  # noqa: PLC0415 an extra
    except ImportError as error:
        msg = f"PostgreSQL needs a package ({error}). Run: {install_command('postgres')}"
        raise ConfigurationError(msg) from None
    return open_postgres(config)
