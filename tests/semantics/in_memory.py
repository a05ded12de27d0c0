"""Provide an in-memory destination that commits packages atomically with their state, like dlt."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.extract.destination_state import DestinationState
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from tower_etl.config.settings import PackageLimits
    from tower_etl.extract.destination_state import Condition
    from tower_etl.extract.session import SyncSession

Key = tuple[Any, ...]
Row = dict[str, Any]


class CrashError(BaseException):
    """Simulate a killed process; it is a BaseException to pass every `except Exception`."""


@dataclass
class InMemoryDestination(DestinationState):
    """Hold tables and state as a killed process would leave them.

    Attributes:
        tables: Rows by key for each table.
        state: The state that dlt would keep.
        packages: The number of packages committed so far.
    """

    tables: dict[str, dict[Key, Row]] = field(default_factory=lambda: {name: {} for name in TABLES})
    state: dict[str, Any] = field(default_factory=dict)
    packages: int = 0

    def __post_init__(self) -> None:
        """Read from no pipeline."""
        super().__init__(None)

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

    def _find_columns(self, name: str) -> dict[str, Any]:
        return dict.fromkeys(TABLES[name].arrow_schema.names)

    def _read_existing(
        self, name: str, columns: pa.Schema, condition: Condition | None
    ) -> pa.Table:
        rows = [*self.tables[name].values()]
        if condition is not None:
            values = (None,) if condition.values is None else condition.values
            rows = [row for row in rows if row[condition.column] in values]
        return pa.Table.from_pylist(rows, columns)

    def rows_of(self, table: str, run_id: str) -> dict[Key, Row]:
        """Return the rows of one run in a table."""
        column = "id" if table == "workflows" else "workflow_id"
        return {key: row for key, row in self.tables[table].items() if row[column] == run_id}

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
