"""Costs of a DuckDB file that does not fit twice on the disk, without the copy of a sync.

Usage: python -m benchmarks.single_file_scale TASKS FOLDER. Creates a long history in the folder, as
benchmarks.scale does, without process_metrics and process_progress. The syncs resume the file as
the staging copy of an interrupted sync, so that they copy nothing.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from benchmarks.history import enlarge
from benchmarks.remote import open_platform
from benchmarks.scale import SEED, name_platform
from benchmarks.scenario import DAY
from benchmarks.stores import QUESTIONS, FileStore
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.destinations.staging_file import StagingRecord
from tower_etl.views.definitions import apply_views

if TYPE_CHECKING:
    from benchmarks.resource_usage import Usage

_TABLES = ("workflows", "tasks", "workflow_progress", "workflow_labels")


def make_staging_copy(path: Path) -> None:
    """Make a file the staging copy that a sync resumes."""
    target = resolve_duckdb_paths(path)
    path.rename(target.staging)
    note = json.dumps(asdict(StagingRecord(source=None)))
    (target.work_dir / "draft.json").write_text(note, encoding="utf-8")


def main(tasks: int, folder: Path) -> None:
    """Measure each step and print its seconds and memory."""
    now = datetime.now(UTC).replace(microsecond=0)
    with open_platform(SEED, now) as platform:
        file = FileStore("duckdb", folder / "history.duckdb", name_platform(platform, now))
        file.sync()
        began_s = time.monotonic()
        held = enlarge(file.path, tasks, _TABLES)
        _say(f"{held:,} tasks, {file.weigh() / 1e9:.2f} GB, {time.monotonic() - began_s:.0f} s")
        _time_views(file.path)
        for question, answer in zip(QUESTIONS, file.iter_answers(), strict=True):
            _print_usage(question, answer)
        platform.advance(DAY.total_seconds())
        for what in ("a day's changes", "no changes"):
            make_staging_copy(file.path)
            _print_usage(what, file.sync())


def _time_views(path: Path) -> None:
    began_s = time.monotonic()
    duckdb.connect(str(path)).close()
    opened_s = time.monotonic()
    apply_views(path)
    _say(f"opening {opened_s - began_s:.1f} s, views {time.monotonic() - opened_s:.1f} s")


def _print_usage(what: str, used: Usage) -> None:
    _say(f"{what}: {used.wall_s:.1f} s ({used.cpu_s:.1f}), {used.peak_mb:,.0f} MB")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
