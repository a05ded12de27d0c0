"""How far one file goes: what questions and a sync take where the history is long.

Usage: python -m benchmarks.scale TASKS (1,000,000). A small history is synced from a simulated
platform, and its runs are written into the file again, under other names, at other times and with
other figures, until it holds TASKS tasks. Then a day passes, and `tower-etl sync` brings it up to
date: first the file, then a folder of Parquet files made of it. Prints a Markdown table.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from benchmarks.contestants import OURS
from benchmarks.remote import open_platform
from benchmarks.sizes import Size, find_workspace, make_world
from benchmarks.story import DAY
from benchmarks.usage import measure
from tower_etl.load.mirror import open_mirror
from tower_etl.load.place import Place
from tower_etl.load.publish import Publisher
from tower_etl.load.target import find_target
from tower_etl.load.views import apply_views
from tower_etl.load.working import WorkingCopy
from tower_etl.sim import DEMO_TOKEN
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.remote import Platform
    from benchmarks.usage import Usage
    from tower_etl.tables import Table

QUESTIONS = ("cost_by_user", "failure_reasons", "memory_requests", "queue_waits", "retry_waste")
SEED = Size(
    "seed", runs=200, mean_tasks=100, open_runs=0, limited=False, latency_s=0, long_run=False
)
_DAYS = 3 * 365
_COPIED = (
    "workflows",
    "tasks",
    "process_metrics",
    "workflow_progress",
    "process_progress",
    "workflow_labels",
)
_COPIES_AT_ONCE = 50
_UNIQUE = frozenset({"hash", "native_id", "workdir", "run_name", "session_id"})
_MEASURED = frozenset(
    {"duration", "realtime", "rss", "vmem", "peak_rss", "peak_vmem", "rchar", "wchar"}
    | {"read_bytes", "write_bytes", "syscr", "syscw", "vol_ctxt", "inv_ctxt"}
)
_ASK = "SELECT * FROM {} LIMIT 20"


@dataclass(frozen=True)
class Store:
    """A file or folder that is kept up to date.

    Attributes:
        kind: Of destination.
        path: Where it is.
        environ: What the commands are told of the platform.
    """

    kind: str
    path: Path
    environ: dict[str, str]

    def sync(self) -> Usage:
        """What a sync takes."""
        more = ("--destination", self.kind)
        return _succeed(measure([*OURS.order(self.path, later=False), *more], *self._where))

    def iter_answers(self) -> Iterator[Usage]:
        """What each question takes, from the shell to the answer."""
        for question in QUESTIONS:
            ask = ("query", _ASK.format(question), "--format", "csv", "--path", str(self.path))
            yield _succeed(measure([sys.executable, "-m", "tower_etl", *ask], *self._where))

    def weigh(self) -> int:
        """Bytes of what readers read."""
        real = self.path.resolve()
        if real.is_file():
            return real.stat().st_size
        newest = (real / ".snapshots" / "current").resolve()
        return sum(file.stat().st_size for file in newest.rglob("*") if file.is_file())

    @property
    def _where(self) -> tuple[Path, dict[str, str]]:
        return self.path.parent, self.environ


def _succeed(usage: Usage) -> Usage:
    if usage.exit_code != 0:
        msg = f"A command ended with {usage.exit_code}: see log.txt."
        raise RuntimeError(msg)
    return usage


def enlarge(path: Path, tasks: int) -> int:
    """Copy the runs of a file until it holds about so many tasks; how many it holds then."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("USE tower")
        copies = max(tasks // _count(connection), 1)
        for name in _COPIED:
            connection.execute(f'CREATE TEMP TABLE "seed_{name}" AS FROM "{name}"')
            for first in range(1, copies, _COPIES_AT_ONCE):
                last = min(first + _COPIES_AT_ONCE, copies)
                connection.execute(write_copies(TABLES[name], copies, first, last))
        return _count(connection)


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute("SELECT count(*) FROM tasks").fetchone()
    return int(found[0]) if found else 0


def write_copies(table: Table, copies: int, first: int, last: int) -> str:
    """A statement that adds copies to a table; each is some days older than the one before."""
    days = f"to_days(CAST(n * {_DAYS} // {copies} AS INTEGER))"
    changed = ", ".join(
        f'{made} AS "{field.name}"'
        for field in table.arrow_schema
        if (made := _vary(table.name, field, days))
    )
    return (
        f'INSERT INTO "{table.name}" BY NAME SELECT s.* REPLACE ({changed}) '  # noqa: S608 ours
        f'FROM "seed_{table.name}" AS s, range({first}, {last}) AS copied(n)'
    )


def _vary(table: str, field: pa.Field, days: str) -> str | None:
    """What stands in a column of a copy, None where it is the same."""
    column = f's."{field.name}"'
    if field.name == "workflow_id" or (table, field.name) == ("workflows", "id"):
        return f"{column} || '-' || n"
    if pa.types.is_timestamp(field.type):
        return f"{column} - {days}"
    if field.name in _UNIQUE:
        return f"left(md5({column} || n), length({column}))"
    if pa.types.is_float64(field.type):
        return f"{column} * (0.5 + random())"
    if field.name in _MEASURED:
        return f"CAST({column} * (0.5 + random()) AS BIGINT)"
    return None


def time_parts(path: Path) -> tuple[float, float]:
    """Seconds that the draft and its publication take, and the views."""
    target = find_target(path)
    target.folder.mkdir(exist_ok=True)
    publisher = Publisher(target)
    began_s = time.monotonic()
    publisher.open_draft()
    copied_s = time.monotonic()
    apply_views(target.draft)
    viewed_s = time.monotonic()
    publisher.publish()
    return copied_s - began_s + time.monotonic() - viewed_s, viewed_s - copied_s


def move_to_parquet(file: Path, store: Store, now: datetime) -> float:
    """Make a folder of Parquet files of a file, which becomes its working copy; seconds."""
    mirror = open_mirror(Place(store.kind, str(store.path), file.parent))
    mirror.target.folder.mkdir()
    file.rename(mirror.target.draft)
    WorkingCopy(mirror.target).note(None)
    began_s = time.monotonic()
    mirror.publish(now)
    return time.monotonic() - began_s


def measure_store(store: Store, platform: Platform) -> list[str]:
    """Size, answers, a sync a day later and one with nothing new, as cells of a table."""
    answers = list(store.iter_answers())
    peak_mb = max(answer.peak_mb for answer in answers)
    platform.advance(DAY.total_seconds())
    syncs = [store.sync(), store.sync()]
    return [
        f"{store.weigh() / 1e9:.2f}",
        " / ".join(f"{answer.wall_s:.1f}" for answer in answers),
        f"{peak_mb:,.0f}",
        *(f"{sync.wall_s:.1f} ({sync.cpu_s:.1f})" for sync in syncs),
        f"{max(sync.peak_mb for sync in syncs):,.0f}",
    ]


def main(tasks: int) -> None:
    """Print the table."""
    now = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory() as home, open_platform(SEED, now) as platform:
        environ = {
            "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
            "TOWER_API_ENDPOINT": platform.endpoint,
            "TOWER_WORKSPACE_ID": str(find_workspace(make_world(SEED, now))),
            "TOWER_ETL_RATE": "none",
        }
        file = Store("duckdb", Path(home) / "history.duckdb", environ)
        file.sync()
        held = enlarge(file.path, tasks)
        copied_s, viewed_s = time_parts(file.path)
        print(f"{held:,} tasks: copy and publish {copied_s:.1f} s, views {viewed_s:.1f} s")
        _print_row(file, platform)
        folder = Store("parquet", Path(home) / "history-parquet", environ)
        print(f"first writing of Parquet: {move_to_parquet(file.path, folder, now):.1f} s")
        _print_row(folder, platform)


def _print_row(store: Store, platform: Platform) -> None:
    print(f"| {store.kind} | {' | '.join(measure_store(store, platform))} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
