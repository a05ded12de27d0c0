"""Sync a target from a simulated platform, in the process of the test."""

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
from tower_etl.destinations.duckdb import DuckDBDestination
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
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

    from tower_etl.destinations.duckdb_files import DuckDBPaths
    from tower_etl.pipeline import SyncReport


_USUAL = PrivacySettings()


def ask_for(endpoint: str, privacy: PrivacySettings = _USUAL, **request: Any) -> Settings:
    """Return settings to sync all tables without a rate limit; `request` overrides options."""
    return Settings(
        endpoint,
        Token(DEMO_TOKEN),
        options=SyncOptions(**{"tables": frozenset(TABLES), **request}),
        http=HttpSettings(calls_per_second=None, attempts=2),
        privacy=privacy,
    )


@dataclass(frozen=True)
class Warehouse:
    """Sync one target from one platform, at the time of that platform.

    Attributes:
        target: The paths of the target.
        endpoint: The address of the platform.
        clock: The clock of the platform.
    """

    target: DuckDBPaths
    endpoint: str
    clock: Clock

    def sync(self, privacy: PrivacySettings = _USUAL, **request: Any) -> SyncReport:
        """Run one sync; `request` overrides the default options."""
        settings = ask_for(self.endpoint, privacy, **request)
        return SyncRunner(settings, DuckDBDestination(self.target), self.clock).run()

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows of the published file; tables need no schema name."""
        with duckdb.connect(str(self.target.path), read_only=True) as connection:
            connection.execute("USE tower.tower")
            return connection.execute(sql).fetchall()

    def list_runs(self) -> set[str]:
        """Return the ids of the published runs."""
        return {run_id for (run_id,) in self.select("SELECT id FROM workflows")}


def sync_seeded(folder: Path, seed: int, **world: Any) -> Path:
    """Sync a seeded history into a file and return its path; `world` is passed to `build_world`."""
    clock = SimClock()
    target = resolve_duckdb_paths(folder / "tower.duckdb")
    with serve(Simulator(build_world(seed, clock=clock, **world), limit=NO_LIMIT)) as endpoint:
        report = Warehouse(target, endpoint, Clock(now=clock.now)).sync()
    assert report.result.status == "ok"
    return target.path
