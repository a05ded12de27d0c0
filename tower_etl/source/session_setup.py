"""Set-up of a sync, for the dlt source and the commands: selected tables, client and session."""

from __future__ import annotations

import fnmatch
from importlib.metadata import version
from typing import TYPE_CHECKING

from tower_etl.api import TowerClient
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.config.settings import NO_LIMIT
from tower_etl.errors import ConfigurationError
from tower_etl.extract.executor import FetchExecutor
from tower_etl.extract.result import SyncRunRecord
from tower_etl.extract.session import SyncSession
from tower_etl.http import open_http_client
from tower_etl.schema import ON_DEMAND, TABLES
from tower_etl.text import suggest
from tower_etl.transform import ColumnPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.clock import Clock
    from tower_etl.config.settings import RunLimit, Settings
    from tower_etl.extract.discovery import Discovery
    from tower_etl.http import RequestMetrics

VERSION = version("tower-etl")
USER_AGENT = f"tower-etl/{VERSION}"
_REQUIRED_TABLES = frozenset({"workflows", "workflow_labels", "labels", "sync_runs"})


def select_source_tables(names: Iterable[str]) -> frozenset[str]:
    """Return the selected tables; `launch_datasets` also selects `launches`.

    Args:
        names: Names, or patterns with `*` and `?`; `!` before a name or pattern excludes tables.
            Without a positive name, all except on-demand tables are selected.

    Raises:
        ConfigurationError: A name or pattern matches no table.
    """
    included, excluded = _match_tables(names)
    if "launches" in excluded:
        excluded |= {"launch_datasets"}
    chosen = frozenset(included or TABLES.keys() - ON_DEMAND) - excluded
    return chosen | {"launches"} if "launch_datasets" in chosen else chosen


def select_command_tables(names: Iterable[str]) -> frozenset[str]:
    """Return the selected tables, and the tables that the commands require.

    Raises:
        ConfigurationError: A name matches no table, or excludes a required table.
    """
    chosen = tuple(names)
    _, excluded = _match_tables(chosen)
    if needed := sorted(excluded & _REQUIRED_TABLES):
        names = ", ".join(needed)
        msg = f"Cannot exclude {names}: every sync needs it. Remove '!{needed[0]}' from the tables."
        raise ConfigurationError(msg)
    return select_source_tables(chosen) | _REQUIRED_TABLES


def _match_tables(names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the tables that names select, and the tables that they exclude.

    Raises:
        ConfigurationError: A name or pattern matches no table.
    """
    stripped = [name.strip() for name in names]
    found = {name: fnmatch.filter(TABLES, name.removeprefix("!")) for name in stripped}
    if unknown := sorted(name for name, tables in found.items() if not tables):
        hint = suggest(unknown[0], TABLES)
        names = ", ".join(name or "without a name" for name in unknown)
        msg = f"Unknown table {names}.{hint} Expected one of {', '.join(TABLES)}."
        raise ConfigurationError(msg)
    included = {table for name in stripped if not name.startswith("!") for table in found[name]}
    excluded = {table for name in stripped if name.startswith("!") for table in found[name]}
    return frozenset(included), frozenset(excluded)


def open_client(
    settings: Settings, clock: Clock = SYSTEM_CLOCK, metrics: RequestMetrics | None = None
) -> TowerClient:
    """Return a client of the platform that counts its requests in `metrics`.

    Raises:
        ConfigurationError: `since` is in the future.
    """
    since = settings.options.since
    if since and since > clock.now():
        msg = (
            f"--since {since:%Y-%m-%d %H:%M:%SZ} is in the future, so that no run would be synced. "
            f"Expected a time before now ({clock.now():%Y-%m-%d %H:%M:%SZ})."
        )
        raise ConfigurationError(msg)
    return TowerClient(open_http_client(settings, USER_AGENT, clock, metrics))


def open_session(  # noqa: PLR0913 the parts of a session
    settings: Settings,
    client: TowerClient,
    discovery: Discovery,
    clock: Clock = SYSTEM_CLOCK,
    *,
    limit: RunLimit = NO_LIMIT,
    dialect: str = "",
) -> SyncSession:
    """Return the session of a sync.

    Args:
        settings: Settings of the sync.
        client: Client of the platform.
        discovery: Result of the discovery.
        clock: Source of the time.
        limit: Maximum number of runs and seconds.
        dialect: SQL dialect of the destination, which may not support some characters.

    Raises:
        ConfigurationError: An excluded or hashed column is unknown, or required.
    """
    workers = settings.http.choose_workers(client.http.metrics.response_seconds)
    executor = FetchExecutor(client, settings.options.tables, workers)
    column_policy = ColumnPolicy.from_settings(settings.privacy, TABLES, dialect)
    sync_run = SyncRunRecord.start(clock, VERSION)
    return SyncSession(executor, discovery, settings.options, sync_run, column_policy, limit)
