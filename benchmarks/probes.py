"""Separate measurements of figures in the documentation: start-up, file copy, merge."""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dlt
import duckdb

from benchmarks.resource_usage import measure
from tower_etl.destinations.dlt_pipeline import dlt_defaults
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.destinations.staging_file import StagingFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_GB = 1_000_000_000
_CHUNK = 10_000_000
_MERGED_TABLE_ROWS = 5_000_000
_ROWS_OF_A_RUN = 300
_STARTS = 9
_COMMANDS = {
    "python": (sys.executable, "-c", "pass"),
    "tower_etl_help": (sys.executable, "-m", "tower_etl", "--help"),
    "import_dlt": (sys.executable, "-c", "import dlt"),
}
_ROWS = """
SELECT
  'run-' || i // {each} AS workflow_id, 'process-' || i % {each} AS process, random() AS value
FROM range({first}, {last}) AS numbers(i)
"""


def measure_probes(folder: Path, say: Callable[[str], object]) -> dict[str, Any]:
    """Measure the start of commands, the copy of a file, and merges by two kinds of keys."""
    say("probes: starting up ...")
    starts = time_starts(folder)
    say("probes: copying a file ...")
    copy = time_copy(folder, _GB)
    say("probes: merging by two keys ...")
    with dlt_defaults():
        merge = time_merges(folder, _MERGED_TABLE_ROWS)
    return {"starts": starts, "copy": copy, "merge": merge}


def time_starts(folder: Path, times: int = _STARTS) -> dict[str, dict[str, float]]:
    """Return the median wall and CPU seconds of commands that do almost nothing."""
    found = {}
    for name, command in _COMMANDS.items():
        usages = [measure(command, folder, {}) for _ in range(times + 1)][1:]  # skip the warm-up
        found[name] = {
            "wall_s": statistics.median(usage.wall_s for usage in usages),
            "cpu_s": statistics.median(usage.cpu_s for usage in usages),
        }
    return found


def time_copy(folder: Path, size_bytes: int) -> dict[str, float]:
    """Return the seconds to create the staging copy of a file, and to publish it."""
    target = resolve_duckdb_paths(folder / "large.duckdb")
    duckdb.connect(str(target.path)).close()  # a valid DuckDB header before the random bytes
    with target.path.open("ab") as file:
        for _ in range(size_bytes // _CHUNK):
            file.write(os.urandom(_CHUNK))
        os.fsync(file.fileno())
    target.work_dir.mkdir()
    publisher, watch = StagingFile(target), _Watch()
    with watch.timing("copy_s"):
        publisher.prepare()
    with watch.timing("publish_s"):
        publisher.publish()
    return {"gigabytes": target.path.stat().st_size / _GB, **watch.seconds}


def time_merges(folder: Path, rows: int) -> dict[str, float]:
    """Return the seconds in which dlt merges a run into a table, by `key` and by `key OR run`."""
    key = {"primary_key": ["workflow_id", "process"]}
    watch = _Watch()
    for name, hints in (("by_key", key), ("by_key_or_run", key | {"merge_key": "workflow_id"})):
        pipeline = dlt.pipeline(
            name,
            pipelines_dir=str(folder / "dlt"),
            destination=dlt.destinations.duckdb(str(folder / f"{name}.duckdb")),
            dataset_name="tower",
        )
        _load(pipeline, hints, 0, rows)
        _load(pipeline, hints, rows, rows + _ROWS_OF_A_RUN)  # creates the staging tables
        with watch.timing(f"{name}_s"):
            _load(pipeline, hints, 0, _ROWS_OF_A_RUN)
    return {"rows": rows, **watch.seconds}


def _load(pipeline: dlt.Pipeline, hints: dict[str, Any], first: int, last: int) -> None:
    with duckdb.connect() as connection:
        query = _ROWS.format(each=_ROWS_OF_A_RUN, first=first, last=last)
        batches = connection.sql(query).to_arrow_reader(1_000_000)
        disposition = "append" if pipeline.first_run else "merge"
        rows: Any = dlt.resource(batches, name="metrics")
        rows.apply_hints(write_disposition=disposition, **hints)
        pipeline.run(rows, loader_file_format="parquet")


class _Watch:
    """Stopwatch of named steps, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began_s
