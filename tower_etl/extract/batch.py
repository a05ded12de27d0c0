"""Fetched runs, and building of their rows in batches.

A run has few rows. Building rows run by run takes three times as long as in batches, and contends
with the fetching threads for the interpreter lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.api import task_key
from tower_etl.schema import (
    REMOVED,
    TABLES,
    deduplicate,
    label_link_tombstones,
    task_rows,
)
from tower_etl.sync import RUN_TABLES
from tower_etl.transform import build_run_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tower_etl.api import Item
    from tower_etl.extract.result import WorkspaceSync
    from tower_etl.sync import RunSummary, TaskBrief
    from tower_etl.transform import RunResponses

FLUSH_ROWS = 25_000
_MAX_BATCH_ROWS = 5_000
_MAX_BATCH_RUNS = 32
_TASKS_PER_TABLE = 1_000  # response objects take ten times the memory of their rows


@dataclass(frozen=True)
class FetchedRun:
    """Fetched run: its responses, and what the next state follows from.

    Attributes:
        responses: Responses of the API about the run.
        summary: Values from which the next state follows.
        tasks: Rows of its first tasks, if it has so many that they were built during the fetch.
        launch: Rows of its launch by table, if the launch was requested.
    """

    responses: RunResponses
    summary: RunSummary
    tasks: tuple[pa.Table, ...] = ()
    launch: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """Estimated number of rows of the run, to limit the size of a batch."""
        tasks = sum(len(page) for page in self.responses.tasks)
        tasks += sum(int(rows.num_rows) for rows in self.tasks)
        metrics = sum(len(process) for process in self.responses.metrics)
        return 3 + tasks + metrics


class TaskPageBuffer:
    """Buffer for the pages of a task list, which builds rows after every 1,000 tasks.

    Attributes:
        keys: `taskId` and status of each task.
        pages: Pages of which no rows were built yet.
        tables: Rows of the earlier pages.
        nulls: Number of elements that are null, for which there are no rows.
    """

    def __init__(self, constant_columns: Mapping[str, object]) -> None:
        """Create the buffer of a run with the columns that are constant for it."""
        self.keys: list[TaskBrief] = []
        self.pages: list[list[Item]] = []
        self.tables: list[pa.Table] = []
        self.nulls = 0
        self._constant_columns = constant_columns
        self._task_count = 0

    def append(self, page: list[Item]) -> None:
        """Add one page."""
        self.keys += map(_brief_of, page)
        self.pages.append(page)
        self.nulls += sum(item is None for item in page)
        self._task_count += len(page)
        if self._task_count >= _TASKS_PER_TABLE:
            self._build()

    def keep_last(self) -> None:
        """Keep the last one of the tasks with the same key."""
        self._build()
        self.tables = [deduplicate(pa.concat_tables(self.tables), TABLES["tasks"].key)]

    def _build(self) -> None:
        self.tables.append(task_rows(self.pages, self._constant_columns))
        self.pages, self._task_count = [], 0


class RunBatch:
    """Fetched runs whose rows are built together.

    Attributes:
        row_count: Estimated number of their rows.
    """

    def __init__(self) -> None:
        self.row_count = 0
        self._runs: list[tuple[WorkspaceSync, FetchedRun]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, workspace_sync: WorkspaceSync, fetched: FetchedRun) -> None:
        """Add a run and the workspace that it belongs to."""
        self._runs.append((workspace_sync, fetched))
        self.row_count += fetched.row_count

    @property
    def is_full(self) -> bool:
        """Whether to build the rows now: a larger batch is not cheaper, and delays progress."""
        return len(self._runs) >= _MAX_BATCH_RUNS or self.row_count >= _MAX_BATCH_ROWS

    def drain(self) -> list[tuple[WorkspaceSync, FetchedRun]]:
        """Remove and return all runs in the order of their arrival."""
        taken, self._runs, self.row_count = self._runs, [], 0
        return taken


def _brief_of(item: Item) -> TaskBrief:
    """Return `taskId` and status of a task, which the task bookmark is based on."""
    task = item.get("task") if isinstance(item, dict) else None
    return task_key(item), task.get("status") if isinstance(task, dict) else None


def build_batch(
    fetched_runs: Sequence[FetchedRun], selected: frozenset[str]
) -> dict[str, pa.Table]:
    """Build the rows of some runs by table.

    Args:
        fetched_runs: Runs, which may have been fetched for different tables.
        selected: Selected tables, including those that are not of runs only, such as `labels`.

    Raises:
        ServerError: A response contains no run.
    """
    groups: dict[frozenset[str], list[FetchedRun]] = {}
    for fetched in fetched_runs:
        groups.setdefault(fetched.summary.tables, []).append(fetched)
    return _concatenate(
        {
            name: rows
            for name, rows in _build_group(group).items()
            if name in selected and (name in tables or name not in RUN_TABLES)
        }
        for tables, group in groups.items()
    )


def _build_group(fetched_runs: Sequence[FetchedRun]) -> dict[str, pa.Table]:
    """Build the rows of runs fetched for the same tables, with tombstones for missing labels."""
    tables = build_run_tables([fetched.responses for fetched in fetched_runs])
    before = [rows for fetched in fetched_runs for rows in fetched.tasks]
    tombstones = [
        label_link_tombstones(
            [fetched.summary.fetch.run_id], workspace_id=fetched.responses.workspace_id
        )
        for fetched in fetched_runs
        if not fetched.responses.labels
    ]
    tables["tasks"] = pa.concat_tables([*before, tables["tasks"]])
    tables["workflow_labels"] = pa.concat_tables([tables["workflow_labels"], *tombstones])
    return tables | _concatenate(fetched.launch for fetched in fetched_runs)


def _concatenate(batches: Iterable[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
    """Return the rows of some batches by table."""
    parts: dict[str, list[pa.Table]] = {}
    for batch in batches:
        for name, rows in batch.items():
            parts.setdefault(name, []).append(rows)
    return {name: pa.concat_tables(tables) for name, tables in parts.items()}


class RowBuffer:
    """Buffer of rows by table, flushed when it is full.

    Attributes:
        row_count: Number of rows since the last flush.
        written: Number of flushed rows by table.
    """

    def __init__(self) -> None:
        self.row_count = 0
        self.written: dict[str, int] = {}
        self._parts: dict[str, list[pa.Table]] = {}

    def add(self, tables: Mapping[str, pa.Table]) -> None:
        """Add rows of several tables."""
        for name, rows in tables.items():
            if rows.num_rows:
                self._parts.setdefault(name, []).append(rows)
                self.row_count += rows.num_rows

    @property
    def is_full(self) -> bool:
        """Whether the buffer should be flushed."""
        return self.row_count >= FLUSH_ROWS

    def row_counts(self) -> dict[str, int]:
        """Return the number of rows by table, including rows that are not flushed yet."""
        buffered = {name: sum(map(_count, parts)) for name, parts in self._parts.items()}
        names = self.written.keys() | buffered.keys()
        counts = {name: self.written.get(name, 0) + buffered.get(name, 0) for name in names}
        return {name: count for name, count in sorted(counts.items()) if count}

    def flush(self) -> dict[str, pa.Table]:
        """Return and remove all rows: one deduplicated Arrow table per table."""
        joined = {name: _join(name, parts) for name, parts in self._parts.items()}
        for name, rows in joined.items():
            self.written[name] = self.written.get(name, 0) + _count(rows)
        self._parts, self.row_count = {}, 0
        return joined


def _join(name: str, parts: list[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(parts, promote_options="default")
    return deduplicate(rows, TABLES[name].key) if len(parts) > 1 else rows


def _count(rows: pa.Table) -> int:
    """Return the number of rows without tombstones, which only delete other rows."""
    if REMOVED not in rows.schema.names:
        return int(rows.num_rows)
    return int(rows.num_rows - (pc.sum(rows[REMOVED]).as_py() or 0))
