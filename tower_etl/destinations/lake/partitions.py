"""Tables cut into months, so that only the months that changed are written again.

A row of a run belongs to the month (UTC) in which the run was submitted, which does not change; a
row about a sync to that in which the sync started, a launch to that in which it was made, and a
line of a bill to its billing period; where that is not known, to January 1970. What is about none
of these is one part without a month.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.config.settings import DATASET
from tower_etl.schema import STORED_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import duckdb
    import pyarrow as pa

MONTH = "month"  # the column, a date: the first day of the month
UNKNOWN_MONTH = (
    "1970-01-01"  # not null: pyarrow cannot tell the type of a column of nulls from folders
)
_ROW = '"the row"'  # a name with a blank, which no column has


@dataclass(frozen=True)
class PartitionStats:
    """The rows of one month of a table.

    Attributes:
        fingerprint: Changes when any of them does.
        first: The least of DuckDB's numbers for rows among them.
        last: The greatest. Other months may have rows in between, but seldom many.
    """

    fingerprint: str
    first: int
    last: int


_EMPTY = PartitionStats("empty", 0, -1)


@dataclass(frozen=True)
class PartitionScheme:
    """How one table is cut.

    Attributes:
        columns: What is selected.
        source: The table, as `"the row"`, joined with what tells the month.
        month: The month of a row, empty where the table has none.
    """

    columns: str
    source: str
    month: str = ""

    @property
    def has_months(self) -> bool:
        """Whether it is cut at all."""
        return bool(self.month)

    @property
    def sql(self) -> str:
        """All rows, with `month` as the last column if there are months."""
        month = f", {self.month} AS {MONTH}" if self.has_months else ""
        return f"SELECT {self.columns}{month} FROM {self.source}"  # noqa: S608 ours

    def select(self, stretches: Mapping[str, PartitionStats]) -> str:
        """The rows of some months; DuckDB skips what is stored before and after them."""
        if not self.has_months:
            return self.sql
        first = min((stretch.first for stretch in stretches.values()), default=0)
        last = max((stretch.last for stretch in stretches.values()), default=0)
        named = ", ".join(f"'{month}'" for month in stretches)
        near = f"{_ROW}.rowid BETWEEN {first} AND {last}"
        return f"{self.sql} WHERE {near} AND {self.month} IN ({named})"


def partition_scheme(table: str) -> PartitionScheme:
    """How a table of the dataset, of ours or of dlt's, is cut; JSON becomes text."""
    spec = STORED_TABLES.get(table)
    source = f'{DATASET}."{table}" AS {_ROW}'
    if spec is None:
        return PartitionScheme(f"{_ROW}.*", source)
    texts = [f'{_ROW}."{c.name}"::VARCHAR AS "{c.name}"' for c in spec.columns if c.is_json]
    columns = f"{_ROW}.* REPLACE ({', '.join(texts)})" if texts else f"{_ROW}.*"
    moment, join = _find_timestamp(table, {column.name for column in spec.columns})
    if moment is None:
        return PartitionScheme(columns, source)
    month = f"coalesce(date_trunc('month', {moment})::DATE, DATE '{UNKNOWN_MONTH}')"
    return PartitionScheme(columns, f"{source} {join}", month)


_TIMESTAMPS = {
    "workflows": f"coalesce({_ROW}.submit, {_ROW}.date_created)",
    "sync_runs": f"{_ROW}.started_at",
    "launches": f"{_ROW}.date_created",
    "bill_lines": f"CAST({_ROW}.billing_period || '-01' AS TIMESTAMP)",
}


def _find_timestamp(table: str, columns: set[str]) -> tuple[str | None, str]:
    if table in _TIMESTAMPS:
        return _TIMESTAMPS[table], ""
    if "workflow_id" in columns:
        join = f"LEFT JOIN {DATASET}.workflows AS w ON w.id = {_ROW}.workflow_id"
        return "coalesce(w.submit, w.date_created)", join
    if "launch_id" in columns:
        join = f"LEFT JOIN {DATASET}.launches AS l ON l.id = {_ROW}.launch_id"
        return "l.date_created", join
    return None, ""


def month_predicate(months: Iterable[str]) -> str:
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


def scan_partitions(
    connection: duckdb.DuckDBPyConnection, cut: PartitionScheme
) -> dict[str, PartitionStats]:
    """What there is of each month (empty for none), whatever its order; one part at least."""
    month = f"({cut.month})::VARCHAR" if cut.has_months else "''"
    rows = connection.execute(
        f"SELECT {month}, count(*) || '-' || sum(hash({_ROW})), min({_ROW}.rowid), "  # noqa: S608 ours
        f"max({_ROW}.rowid) FROM {cut.source} GROUP BY 1"
    ).fetchall()
    found = {name: PartitionStats(*rest) for name, *rest in rows}
    return found or {UNKNOWN_MONTH if cut.has_months else "": _EMPTY}


_BATCH_ROWS = 20_000
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES '50MB'"


@dataclass(frozen=True)
class PartitionReader:
    """The tables of the working copy.

    Attributes:
        connection: To it, in UTC.
        cuts: How each table is cut.
        stretches: What there is of each month of each table.
    """

    connection: duckdb.DuckDBPyConnection
    cuts: Mapping[str, PartitionScheme]
    partitions: Mapping[str, Mapping[str, PartitionStats]]

    def write_file(self, table: str, month: str, path: Path) -> None:
        """One month of a table as a Parquet file; the folder it is in names the month."""
        rows = self._select(table, [month])
        if self.has_months(table):
            rows = f"SELECT * EXCLUDE ({MONTH}) FROM ({rows})"  # noqa: S608 names and dates
        quoted = str(path).replace("'", "''")
        self.connection.execute(f"COPY ({rows}) TO '{quoted}' ({_OPTIONS})")

    def read(self, table: str, months: Iterable[str]) -> pa.RecordBatchReader:
        """Some months of a table, a batch at a time."""
        relation = self.connection.sql(self._select(table, months))
        return relation.to_arrow_reader(_BATCH_ROWS)

    def read_schema(self, table: str) -> pa.Schema:
        """The columns of a table, as `read` gives them."""
        empty = f"SELECT * FROM ({self.cuts[table].sql}) LIMIT 0"  # noqa: S608 names are ours
        return self.connection.sql(empty).to_arrow_table().schema

    def has_months(self, table: str) -> bool:
        """Whether a table is cut at all."""
        return self.cuts[table].has_months

    def _select(self, table: str, months: Iterable[str]) -> str:
        known = self.partitions[table]
        return self.cuts[table].select({month: known[month] for month in months})
