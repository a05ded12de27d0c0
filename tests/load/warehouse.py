"""A target that is kept up to date from a simulated platform, in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from tower_etl.clock import Clock
from tower_etl.config.settings import (
    HttpSettings,
    PrivacySettings,
    Settings,
    SyncOptions,
    Token,
)
from tower_etl.destinations.duckdb_paths import resolve_duckdb_paths
from tower_etl.pipeline import SyncRunner
from tower_etl.schema import TABLES
from tower_etl.simulator import (
    DEMO_TOKEN,
    NO_LIMIT,
    SimClock,
    Simulator,
    build_world,
    serve,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.destinations.duckdb_paths import DuckDBPaths
    from tower_etl.pipeline import SyncReport


_USUAL = PrivacySettings()


def ask_for(endpoint: str, privacy: PrivacySettings = _USUAL, **request: Any) -> Settings:
    """A sync of all tables without waiting; `request` is what differs from the defaults."""
    return Settings(
        endpoint,
        Token(DEMO_TOKEN),
        options=SyncOptions(**{"tables": frozenset(TABLES), **request}),
        http=HttpSettings(calls_per_second=None, attempts=2),
        privacy=privacy,
    )


@dataclass(frozen=True)
class Warehouse:
    """A target that is kept up to date from one platform, at the time of that platform.

    Attributes:
        target: Where the tables go.
        endpoint: Address of the platform.
        clock: Its time.
    """

    target: DuckDBPaths
    endpoint: str
    clock: Clock

    def sync(self, privacy: PrivacySettings = _USUAL, **request: Any) -> SyncReport:
        """Sync; `request` is what differs from the defaults."""
        settings = ask_for(self.endpoint, privacy, **request)
        return SyncRunner(settings, self.target, self.clock).run()

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the published file, where the tables go by their bare names."""
        with duckdb.connect(str(self.target.path), read_only=True) as connection:
            connection.execute("USE tower.tower")
            return connection.execute(sql).fetchall()

    def list_runs(self) -> set[str]:
        """Ids of the published runs."""
        return {run_id for (run_id,) in self.select("SELECT id FROM workflows")}


def sync_seeded(folder: Path, seed: int, **world: Any) -> Path:
    """A synced file of a seeded history; `world` is as for `build_world`."""
    clock = SimClock()
    target = resolve_duckdb_paths(folder / "tower.duckdb")
    with serve(Simulator(build_world(seed, clock=clock, **world), limit=NO_LIMIT)) as endpoint:
        report = Warehouse(target, endpoint, Clock(now=clock.now)).sync()
    assert report.result.status == "ok"
    return target.path
