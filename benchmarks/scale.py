"""Costs of queries and syncs of each destination with a long history.

Usage: python -m benchmarks.scale TASKS (1,000,000) [KIND]... (all). A small history is synced from
a simulated platform, and its runs are copied with other names, times and figures until there are
TASKS tasks. This history is loaded into each kind of destination. Then a simulated day passes, and
`tower-etl sync` brings the destination up to date. Prints a Markdown table.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.database import PostgresStore
from benchmarks.history import enlarge
from benchmarks.remote import open_platform
from benchmarks.scenario import DAY
from benchmarks.sizes import Size, find_workspace, make_world
from benchmarks.stores import FileStore
from tests.sql.postgres import start_postgres
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.destinations.staging_file import StagingFile
from tower_etl.simulator import DEMO_TOKEN
from tower_etl.views.definitions import apply_views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.remote import Platform
    from benchmarks.resource_usage import Usage
    from benchmarks.stores import Store

KINDS = ("duckdb", "parquet", "delta", "iceberg", "postgres")
SEED = Size(
    "seed", runs=200, mean_tasks=100, open_runs=0, limited=False, latency_s=0, long_run=False
)
_HEAD = """
| kind | first write, s (CPU) | MB | GB | five queries, s (CPU) | MB \
| a day's changes, s (CPU) | MB | no changes, s (CPU) | MB |
|---|---|---|---|---|---|---|---|---|---|"""


def name_platform(platform: Platform, now: datetime) -> dict[str, str]:
    """Return the environment variables for commands that use a platform."""
    return {
        "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
        "TOWER_API_ENDPOINT": platform.endpoint,
        "TOWER_WORKSPACE_ID": str(find_workspace(make_world(SEED, now))),
        "TOWER_ETL_RATE": "none",
    }


def time_parts(path: Path) -> tuple[float, float]:
    """Return the seconds to create and publish a staging copy, and to create the views."""
    target = resolve_duckdb_paths(path)
    target.work_dir.mkdir(exist_ok=True)
    publisher = StagingFile(target)
    began_s = time.monotonic()
    publisher.prepare()
    copied_s = time.monotonic()
    apply_views(target.staging)
    viewed_s = time.monotonic()
    publisher.publish()
    return copied_s - began_s + time.monotonic() - viewed_s, viewed_s - copied_s


def measure_store(store: Store, file: Path, platform: Platform) -> list[str]:
    """Load the history of a file into a store, run queries and syncs, and return table cells."""
    first = store.take(file)
    answers = list(store.iter_answers())
    size_gb = store.weigh() / 1e9
    platform.advance(DAY.total_seconds())
    news, nothing = store.sync(), store.sync()
    walls = " / ".join(f"{answer.wall_s:.1f}" for answer in answers)
    return [
        *(_print_usage(first) if first else ("", "")),
        f"{size_gb:.2f}",
        f"{walls} ({sum(answer.cpu_s for answer in answers):.1f})",
        _print_megabytes(max(answer.peak_mb for answer in answers)),
        *_print_usage(news),
        *_print_usage(nothing),
    ]


def _print_usage(usage: Usage) -> tuple[str, str]:
    return f"{usage.wall_s:.1f} ({usage.cpu_s:.1f})", _print_megabytes(usage.peak_mb)


def _print_megabytes(peak_mb: float) -> str:
    return "" if math.isnan(peak_mb) else f"{peak_mb:,.0f}"


@contextmanager
def open_store(kind: str, file: FileStore) -> Iterator[Store]:
    """Yield an empty store, which is removed at the end; for `duckdb`, the file itself."""
    if kind == "duckdb":
        yield file
    elif kind == "postgres":
        with start_postgres() as server:
            yield PostgresStore(server.folder, file.path.parent, file.environ)
    else:
        folder = file.path.with_name(f"history-{kind}")
        yield FileStore(kind, folder, file.environ)
        shutil.rmtree(folder)
        shutil.rmtree(f"{folder}.sync")


def main(tasks: int, kinds: Sequence[str]) -> None:
    """Measure each kind of store and print the table."""
    now = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory() as home, open_platform(SEED, now) as platform:
        file = FileStore("duckdb", Path(home) / "history.duckdb", name_platform(platform, now))
        file.sync()
        held = enlarge(file.path, tasks)
        copied_s, viewed_s = time_parts(file.path)
        print(f"{held:,} tasks: copy and publish {copied_s:.1f} s, views {viewed_s:.1f} s")
        print(_HEAD)
        for kind in kinds:
            file.sync()  # so that every kind has the changes of one day
            with open_store(kind, file) as store:
                cells = measure_store(store, file.path, platform)
            print(f"| {kind} | {' | '.join(cells)} |  load {os.getloadavg()[1]:.0f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2:] or KINDS)
