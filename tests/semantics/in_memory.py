"""Provide an in-memory destination that commits packages atomically with their state, like dlt."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.schema import TABLES
from tower_etl.sync import StoredRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tower_etl.config.settings import PackageLimits
    from tower_etl.extract.session import SyncSession

Key = tuple[Any, ...]
Row = dict[str, Any]


class CrashError(BaseException):
    """Simulate a killed process; it is a BaseException to pass every `except Exception`."""


@dataclass
class InMemoryDestination:
    """Hold tables and state as a killed process would leave them.

    Attributes:
        tables: Rows by key for each table.
        state: The state that dlt would keep.
        packages: The number of packages committed so far.
    """

    tables: dict[str, dict[Key, Row]] = field(default_factory=lambda: {name: {} for name in TABLES})
    state: dict[str, Any] = field(default_factory=dict)
    packages: int = 0

    def load(
        self, session: SyncSession, limits: PackageLimits, crash_at: int | None = None
    ) -> None:
        """Load every package of a session; with `crash_at`, crash before that step.

        Each yielded batch and each commit is a step.
        """
        steps = 0
        while not session.is_done:
            state, staged = copy.deepcopy(self.state), []
            for batch in session.extract_package(state, self, limits):
                staged.append(batch)
                steps += 1
                if steps == crash_at:
                    raise CrashError
            steps += 1
            if steps == crash_at:
                raise CrashError
            self._commit(staged)
            self.state = state

    def runs(self, workspace_id: int | None) -> dict[str, StoredRun]:
        """Return the runs of a workspace, by id."""
        rows = [r for r in self.tables["workflows"].values() if r["workspace_id"] == workspace_id]
        return {row["id"]: self._brief(row) for row in rows}

    def run_rows(self, run_ids: Iterable[str]) -> pa.Table:
        """Return complete rows of `workflows`."""
        rows = [self.tables["workflows"][(run_id,)] for run_id in run_ids]
        return pa.Table.from_pylist(rows, TABLES["workflows"].arrow_schema)

    def find_launches(self, run_ids: Iterable[str]) -> set[str]:
        """Return the launches of the given runs that have a row in `launches`."""
        runs = self.tables["workflows"]
        named = {runs[run_id,]["launch_id"] for run_id in run_ids if (run_id,) in runs}
        return {row["id"] for row in self.tables["launches"].values()} & named

    def read_table(self, name: str, columns: Sequence[str] = ()) -> list[Row]:
        """Return all rows of a table."""
        names = columns or TABLES[name].arrow_schema.names
        return [{column: row[column] for column in names} for row in self.tables[name].values()]

    def table_schema(self, name: str) -> pa.Schema:
        """Return the columns of a table."""
        return TABLES[name].arrow_schema

    def is_complete(self, name: str, columns: Iterable[str]) -> bool:
        """Return whether the table has the columns; tables have those of their specification."""
        return set(columns) <= set(TABLES[name].arrow_schema.names)

    def rows_of(self, table: str, run_id: str) -> dict[Key, Row]:
        """Return the rows of one run in a table."""
        column = "id" if table == "workflows" else "workflow_id"
        return {key: row for key, row in self.tables[table].items() if row[column] == run_id}

    def _brief(self, row: Row) -> StoredRun:
        links = self.rows_of("workflow_labels", row["id"]).values()
        names = ("submit", "status", "last_updated", "complete", "starred", "missing_since")
        brief = {name: row[name] for name in names}
        return StoredRun(
            **brief,
            label_ids=frozenset(link["label_id"] for link in links),
            has_missing_parts=row["missing_parts"] is not None,
        )

    def _commit(self, staged: list[dict[str, pa.Table]]) -> None:
        self.packages += 1
        for name, table in TABLES.items():
            rows = [row for batch in staged if name in batch for row in batch[name].to_pylist()]
            self._merge(name, table.merge_key or table.key, rows)

    def _merge(self, name: str, deleted_by: tuple[str, ...], rows: list[Row]) -> None:
        groups = {tuple(row[column] for column in deleted_by) for row in rows}
        kept = {
            key: row
            for key, row in self.tables[name].items()
            if tuple(row[column] for column in deleted_by) not in groups
        }
        fresh = [row for row in rows if not row.get("_removed")]
        kept.update({tuple(row[column] for column in TABLES[name].key): row for row in fresh})
        self.tables[name] = kept
