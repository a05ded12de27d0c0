"""Comparison of the rows of a candidate with the expected rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {
    "workflows": ("workflow_id",),
    "tasks": ("workflow_id", "task_id"),
    "process_metrics": ("workflow_id", "process", "metric"),
    "workflow_progress": ("workflow_id",),
    "process_progress": ("workflow_id", "process"),
    "workflow_labels": ("workflow_id", "label_id"),
}

# A key counts once as right, wrong or missing; its further rows are doubled.
_COMPARE = """
WITH theirs_once AS (
  SELECT {key}, count(*) AS times, list(DISTINCT row({columns})) AS cells
  FROM their_{table}
  GROUP BY {key}
),
expected_once AS (
  SELECT {key}, [row({columns})] AS cells FROM expected.{table}
)
SELECT
  count(*) FILTER (a.cells = b.cells),
  count(*) FILTER (b.times IS NOT NULL AND a.cells IS DISTINCT FROM b.cells),
  count(*) FILTER (b.times IS NULL),
  coalesce(sum(b.times - 1), 0)::BIGINT
FROM expected_once AS a FULL JOIN theirs_once AS b USING ({key})
"""


@dataclass(frozen=True)
class RowAccuracy:
    """Number of correct and incorrect rows of a table.

    Attributes:
        right: Rows whose compared columns all equal the expected row.
        wrong: Rows with another value, and rows that are not expected.
        missing: Expected rows that the candidate does not have.
        doubled: Rows that repeat the key of another row.
    """

    right: int
    wrong: int
    missing: int
    doubled: int

    @property
    def faults(self) -> int:
        """Number of rows that are wrong, missing or doubled."""
        return self.wrong + self.missing + self.doubled


def compare_rows(path: Path, sql: str, expected: Path) -> dict[str, RowAccuracy]:
    """Compare the file of a candidate with the expected rows, by table.

    Args:
        path: DuckDB file of the candidate.
        sql: Views `their_...` of its rows; a table without a view is not compared.
        expected: DuckDB file with the expected rows.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"ATTACH '{path}' AS theirs (READ_ONLY)")
        connection.execute(f"ATTACH '{expected}' AS expected (READ_ONLY)")
        connection.execute(sql)
        views = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
        return {table: _compare(connection, table) for table in KEYS if f"their_{table}" in views}


def _compare(connection: duckdb.DuckDBPyConnection, table: str) -> RowAccuracy:
    described = connection.execute(f"DESCRIBE expected.{table}").fetchall()
    columns, key = ", ".join(row[0] for row in described), ", ".join(KEYS[table])
    found = connection.execute(_COMPARE.format(table=table, columns=columns, key=key)).fetchone()
    return RowAccuracy(*(found or ()))
