"""Runs as they were fetched, and the way from many of them to rows at once.

The rows of one run are few. Building them run by run takes three times as long as building those
of many together, and the threads that fetch get in each other's way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.api import task_key
from tower_etl.schema import (
    TABLES,
    deduplicate,
    label_link_tombstones,
    task_rows,
)
from tower_etl.sync import RUN_TABLES
from tower_etl.transform import ColumnPolicy, build_run_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tower_etl.api import Item
    from tower_etl.extract.planning import WorkspaceSync
    from tower_etl.sync import LoadedRun, TaskBrief
    from tower_etl.transform import RunResponses

_ROWS_AT_ONCE = 5_000
_RUNS_AT_ONCE = 32
_TASKS_AT_ONCE = 1_000  # as answered they take ten times the memory of their rows


@dataclass(frozen=True)
class FetchedRun:
    """All that was fetched of one run, and what its landing means for the state.

    Attributes:
        answers: What the API says of it.
        landed: What moves the state on.
        tasks: Rows of its first tasks, where it has so many that they were built on the way.
        launch: The rows of its launch by table, where that was requested.
    """

    answers: RunResponses
    loaded: LoadedRun
    tasks: tuple[pa.Table, ...] = ()
    launch: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that it makes, about: enough to know when they are many."""
        waiting = sum(len(page) for page in self.answers.tasks)
        figures = sum(len(entry) for entry in self.answers.metrics)
        return 3 + waiting + figures + sum(int(rows.num_rows) for rows in self.tasks)


class TaskPageBuffer:
    """Takes the tasks of a run page by page, and makes rows of them when they are many.

    Attributes:
        briefs: `taskId` and status of each.
        pages: Pages of which no rows were made.
        built: The rows of those before.
        nulls: Elements that are null, of which no rows are made.
    """

    def __init__(self, owner: Mapping[str, object]) -> None:
        """Set up for the run of which `owner` has the constants."""
        self.keys: list[TaskBrief] = []
        self.pages: list[list[Item]] = []
        self.tables: list[pa.Table] = []
        self.nulls = 0
        self._owner = owner
        self._waiting = 0

    def append(self, page: list[Item]) -> None:
        """Take one page."""
        self.keys += task_keys(page)
        self.pages.append(page)
        self.nulls += sum(item is None for item in page)
        self._waiting += len(page)
        if self._waiting >= _TASKS_AT_ONCE:
            self._build()

    def keep_last(self) -> None:
        """Of tasks that came twice, keep the later one."""
        self._build()
        self.tables = [deduplicate(pa.concat_tables(self.tables), TABLES["tasks"].key)]

    def _build(self) -> None:
        self.tables.append(task_rows(self.pages, self._owner))
        self.pages, self._waiting = [], 0


class RunBatch:
    """Runs that wait for others, to be made rows together.

    Attributes:
        rows: Rows that they make, about.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._runs: list[tuple[WorkspaceSync, FetchedRun]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, work: WorkspaceSync, fetched: FetchedRun) -> None:
        """Take one run, and whom it is for."""
        self._runs.append((work, fetched))
        self.rows += fetched.rows

    @property
    def is_full(self) -> bool:
        """Whether more would make it no cheaper, or progress too seldom seen."""
        return len(self._runs) >= _RUNS_AT_ONCE or self.rows >= _ROWS_AT_ONCE

    def drain(self) -> list[tuple[WorkspaceSync, FetchedRun]]:
        """Hand on all of them, in the order in which they came."""
        taken, self._runs, self.rows = self._runs, [], 0
        return taken


def task_keys(tasks: Iterable[Item]) -> list[TaskBrief]:
    """What tells whether tasks are settled: `taskId` and status of each."""
    return [(task_key(item), _status_of(item)) for item in tasks]


def _status_of(item: Item) -> str | None:
    task = item.get("task") if isinstance(item, dict) else None
    return task.get("status") if isinstance(task, dict) else None


def build_batch(fetched_runs: Sequence[FetchedRun], wanted: frozenset[str]) -> dict[str, pa.Table]:
    """Build the rows of some runs, by table.

    Args:
        fetched_runs: The runs; those of a kind were fetched for the same tables.
        wanted: The tables of the sync, among them those that are not of runs alone, as `labels`.

    Raises:
        ServerError: One of the answers holds no run.
    """
    kinds: dict[frozenset[str], list[FetchedRun]] = {}
    for fetched in fetched_runs:
        kinds.setdefault(fetched.loaded.tables, []).append(fetched)
    built: dict[str, list[pa.Table]] = {}
    for tables, alike in kinds.items():
        for name, rows in _build_alike(alike).items():
            if name in wanted and (name in tables or name not in RUN_TABLES):
                built.setdefault(name, []).append(rows)
    return {name: pa.concat_tables(parts) for name, parts in built.items()}


def _build_alike(fetched_runs: Sequence[FetchedRun]) -> dict[str, pa.Table]:
    """Build the rows of runs; those without a label take their links out of the table."""
    tables = build_run_tables([fetched.answers for fetched in fetched_runs])
    before = [rows for fetched in fetched_runs for rows in fetched.tasks]
    bare = [
        label_link_tombstones(
            [fetched.loaded.fetch.run_id], workspace_id=fetched.answers.workspace_id
        )
        for fetched in fetched_runs
        if not fetched.answers.labels
    ]
    tables["tasks"] = pa.concat_tables([*before, tables["tasks"]])
    tables["workflow_labels"] = pa.concat_tables([tables["workflow_labels"], *bare])
    return tables | _join_launches(fetched_runs)


def _join_launches(fetched_runs: Sequence[FetchedRun]) -> dict[str, pa.Table]:
    """The rows of the launches of some runs, by table."""
    parts: dict[str, list[pa.Table]] = {}
    for fetched in fetched_runs:
        for name, rows in fetched.launch.items():
            parts.setdefault(name, []).append(rows)
    return {name: pa.concat_tables(rows) for name, rows in parts.items()}


FLUSH_ROWS = 25_000
_USUAL = ColumnPolicy(TABLES)


class BatchBuffer:
    """Collects rows by table until there are enough to hand on.

    Attributes:
        rows: Rows taken since the last flush.
        written: Rows handed on, by table.
    """

    def __init__(self, column_policy: ColumnPolicy = _USUAL) -> None:
        self.rows = 0
        self._column_policy = column_policy
        self.written: dict[str, int] = {}
        self._parts: dict[str, list[pa.Table]] = {}

    def add(self, tables: Mapping[str, pa.Table]) -> None:
        """Take the rows of several tables."""
        for name, rows in tables.items():
            if rows.num_rows:
                self._parts.setdefault(name, []).append(rows)
                self.rows += rows.num_rows

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush."""
        return self.rows >= FLUSH_ROWS

    def row_counts(self) -> dict[str, int]:
        """Rows by table, those that wait for the next flush included."""
        waiting = {name: sum(map(_count, parts)) for name, parts in self._parts.items()}
        names = self.written.keys() | waiting.keys()
        counts = {name: self.written.get(name, 0) + waiting.get(name, 0) for name in names}
        return {name: count for name, count in sorted(counts.items()) if count}

    def flush(self) -> dict[str, pa.Table]:
        """Hand on everything, one Arrow table each, a key once, and nothing that is secret."""
        joined = {name: _join(name, parts) for name, parts in self._parts.items()}
        ready = self._column_policy.apply(joined)
        for name, rows in ready.items():
            self.written[name] = self.written.get(name, 0) + _count(rows)
        self._parts, self.rows = {}, 0
        return ready


def _join(name: str, parts: list[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(parts, promote_options="default")
    return deduplicate(rows, TABLES[name].key) if len(parts) > 1 else rows


def _count(rows: pa.Table) -> int:
    """Rows that stay in the table: a tombstone only takes others out of it."""
    if "_removed" not in rows.schema.names:
        return int(rows.num_rows)
    return int(rows.num_rows - (pc.sum(rows["_removed"]).as_py() or 0))
