"""Tables cut into months, so that only the months that changed are written again.

A row of a run belongs to the month (UTC) in which the run was submitted, which does not change; a
row about a sync to that in which the sync started; where that is not known, to January 1970. What
is about neither is one part without a month.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.load.target import DATASET
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

MONTH = "month"  # the column, a date: the first day of the month
UNKNOWN = "1970-01-01"  # not null: pyarrow cannot tell the type of a column of nulls from folders

Fingerprints = dict[str, str]
"""By month (`2026-03-01`, or empty for none), what changes when any of its rows does."""


@dataclass(frozen=True)
class Cut:
    """How one table is cut.

    Attributes:
        table: Its name.
        sql: Its rows, with `month` as the last column if it has months.
        has_months: Whether it has.
    """

    table: str
    sql: str
    has_months: bool

    def select(self, months: Iterable[str]) -> str:
        """The rows of some months, in the order in which runs were submitted."""
        if not self.has_months:
            return self.sql
        named = ", ".join(f"'{month}'" for month in months)
        return f"SELECT * FROM ({self.sql}) WHERE {MONTH} IN ({named})"  # noqa: S608 dates


def cut_table(table: str) -> Cut:
    """How a table of the dataset, of ours or of dlt's, is cut; JSON becomes text."""
    spec = TABLES.get(table)
    source = f'{DATASET}."{table}" AS t'
    if spec is None:
        return Cut(table, f"SELECT t.* FROM {source}", has_months=False)  # noqa: S608 a name
    texts = [f't."{c.name}"::VARCHAR AS "{c.name}"' for c in spec.columns if c.is_json]
    columns = f"t.* REPLACE ({', '.join(texts)})" if texts else "t.*"
    moment, join = _find_moment(table, {column.name for column in spec.columns})
    if moment is None:
        return Cut(table, f"SELECT {columns} FROM {source}", has_months=False)  # noqa: S608 ours
    month = f"coalesce(date_trunc('month', {moment})::DATE, DATE '{UNKNOWN}') AS {MONTH}"
    return Cut(table, f"SELECT {columns}, {month} FROM {source} {join}", has_months=True)  # noqa: S608 ours


def _find_moment(table: str, columns: set[str]) -> tuple[str | None, str]:
    if table == "workflows":
        return "coalesce(t.submit, t.date_created)", ""
    if table == "sync_runs":
        return "t.started_at", ""
    if "workflow_id" in columns:
        join = f"LEFT JOIN {DATASET}.workflows AS w ON w.id = t.workflow_id"
        return "coalesce(w.submit, w.date_created)", join
    return None, ""


def match_months(months: Iterable[str]) -> str:
    """A condition on the column, as Delta and Iceberg read it."""
    return " OR ".join(f"{MONTH} = '{month}'" for month in months)


def list_tables(connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
    """The tables of the dataset with the statements that make them; runs come last.

    Who writes them in this order shows no run before all of its rows.
    """
    found = connection.execute(
        "SELECT table_name, sql FROM duckdb_tables() WHERE schema_name = ? AND NOT temporary",
        [DATASET],
    ).fetchall()
    return dict(sorted(found, key=lambda row: (row[0] == "workflows", row[0])))


def read_fingerprints(connection: duckdb.DuckDBPyConnection, cut: Cut) -> Fingerprints:
    """What the rows of each month come to, whatever their order; one part at least."""
    month = f"{MONTH}::VARCHAR" if cut.has_months else "''"
    rows = connection.execute(
        f"SELECT {month}, count(*) || '-' || coalesce(sum(hash(s)), 0) FROM ({cut.sql}) AS s"  # noqa: S608 ours
        " GROUP BY 1"
    ).fetchall()
    return dict(rows) or {UNKNOWN if cut.has_months else "": "empty"}
