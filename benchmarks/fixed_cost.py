"""`python -m benchmarks.fixed_cost`: CPU time of syncs in which little changes, by cause.

Prints the CPU seconds of this process for a first sync, a sync with a reconciliation and one
without, the number of calls of some functions of dlt, and the time to create the views.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.config.settings import HttpSettings, Settings, SyncOptions, Token
from tower_etl.destinations.duckdb import DuckDBDestination
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.pipeline import SyncRunner
from tower_etl.simulator import DEMO_TOKEN, NO_LIMIT, Simulator, build_world, serve
from tower_etl.source import select_command_tables
from tower_etl.views.definitions import apply_views, iter_views

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTED = ("resolve_configuration", "generate_version_hash", "_write_to_static_table")


def main() -> None:
    """Measure the syncs and print the figures."""
    os.environ["NO_PROXY"] = "*"
    world = build_world(1, runs=60, open_runs=2, mean_tasks=60)
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Simulator(world, limit=NO_LIMIT)) as endpoint,
    ):
        target = resolve_duckdb_paths(Path(folder) / "runs.duckdb")

        def sync(*, reconcile: bool = False) -> None:
            options = SyncOptions(tables=select_command_tables(()), reconcile=reconcile)
            http = HttpSettings(calls_per_second=None)
            settings = Settings(endpoint, Token(DEMO_TOKEN), options=options, http=http)
            SyncRunner(settings, DuckDBDestination(target), SYSTEM_CLOCK).run()

        print(f"first sync: {_time(sync):.1f} s")
        print(f"no changes, with a reconciliation: {_time(lambda: sync(reconcile=True)):.1f} s")
        print(f"no changes: {_time(sync):.1f} s")
        with cProfile.Profile() as profile:
            sync(reconcile=True)
        _print_calls(pstats.Stats(profile))
        views = _time(lambda: apply_views(target.path))
        print(f"{len(list(iter_views()))} views with comments: {views:.1f} s")


def _time(action: Callable[[], object]) -> float:
    before_s = time.process_time()
    action()
    return time.process_time() - before_s


def _print_calls(stats: pstats.Stats) -> None:
    """Print how often some functions of dlt were called."""
    profiled = stats.get_stats_profile().func_profiles
    for name in _NOTED:
        print(f"with a reconciliation, calls of {name}: {profiled[name].ncalls}")


if __name__ == "__main__":
    main()
