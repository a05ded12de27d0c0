"""Partitioning of tables by month, so that only changed months are written to a lake.

The month (UTC) of a row about a run is the month of the run's submission, which never changes; of a
row about a sync, the month of its start; of a launch, the month of its creation; of a bill line,
its billing period; if unknown, January 1970. Other tables have a single partition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.config.settings import DATASET
from tower_etl.schema import STORED_TABLES
from tower_etl.text import quote_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    import duckdb
    import pyarrow as pa

MONTH = "month"  # column of type DATE: the first day of the month
# Not null: pyarrow cannot infer the type of a Hive partition that is always null.
UNKNOWN_MONTH = "1970-01-01"
_ROW = '"the row"'  # alias with a space, so that it cannot clash with a column name


@dataclass(frozen=True)
class PartitionStats:
    """Statistics of a partition.

    Attributes:
        fingerprint: Count and hash of its rows.
        first: Least DuckDB `rowid` of its rows.
        last: Greatest `rowid`. Few rows of other months are usually in between.
    """

    fingerprint: str
    first: int
    last: int


_EMPTY = PartitionStats("empty", 0, -1)


@dataclass(frozen=True)
class PartitionScheme:
    """Partitioning of one table, as SQL.

    Attributes:
        columns: Select list.
        source: Table with the alias `"the row"`, joined with the table that has the timestamp.
        month: Expression for the month of a row; empty for a table without months.
    """

    columns: str
    source: str
    month: str = ""

    @property
    def has_months(self) -> bool:
        """Whether the table is partitioned by month."""
        return bool(self.month)

    @property
    def month_text(self) -> str:
        """Expression for the month as text; empty text for a table without months."""
        return f"({self.month})::VARCHAR" if self.has_months else "''"

    @property
    def sql(self) -> str:
        """SELECT of all rows, with `month` as the last column if the table has months."""
        month = f", {self.month} AS {MONTH}" if self.has_months else ""
        return f"SELECT {self.columns}{month} FROM {self.source}"  # noqa: S608 constants

    def select(self, partitions: Mapping[str, PartitionStats]) -> str:
        """Return a SELECT of some months; the range of `rowid` lets DuckDB skip row groups."""
        first = min((stats.first for stats in partitions.values()), default=0)
        last = max((stats.last for stats in partitions.values()), default=0)
        in_range = f"{_ROW}.rowid BETWEEN {first} AND {last}"
        return f"{self.sql} WHERE {in_range} AND {self.select_months(partitions)}"

    def select_months(self, months: Iterable[str]) -> str:
        """Return the condition for rows of some months."""
        listed = ", ".join(f"'{month}'" for month in months)
        return f"{self.month} IN ({listed})"


def partition_scheme(table: str, row_source: str = "") -> PartitionScheme:
    """Return the partitioning of a table; JSON columns are selected as text.

    Args:
        table: Name of the table.
        row_source: SQL expression of rows of the table; by default those that are stored.
    """
    spec = STORED_TABLES.get(table)
    stored = f'{DATASET}."{table}"'
    source = f"{row_source or stored} AS {_ROW}"
    if spec is None:
        return PartitionScheme(f"{_ROW}.*", source)
    texts = [f'{_ROW}."{c.name}"::VARCHAR AS "{c.name}"' for c in spec.columns if c.is_json]
    columns = f"{_ROW}.* REPLACE ({', '.join(texts)})" if texts else f"{_ROW}.*"
    timestamp, join = _find_timestamp(table, {column.name for column in spec.columns})
    if timestamp is None:
        return PartitionScheme(columns, source)
    month = f"coalesce(date_trunc('month', {timestamp})::DATE, DATE '{UNKNOWN_MONTH}')"
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
    """Return a condition on the month column in the syntax of Delta and Iceberg."""
    return " OR ".join(f"{MONTH} = '{month}'" for month in months)


def list_tables(connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
    """Return the CREATE statement of each table; `workflows` is last.

    Written in this order, a lake never shows a run before its other rows.
    """
    statements = connection.execute(
        "SELECT table_name, sql FROM duckdb_tables() WHERE schema_name = ? AND NOT temporary",
        [DATASET],
    ).fetchall()
    return dict(sorted(statements, key=lambda row: (row[0] == "workflows", row[0])))


def scan_partitions(
    connection: duckdb.DuckDBPyConnection, scheme: PartitionScheme
) -> dict[str, PartitionStats]:
    """Return the statistics of each month (key "" for a table without months); never empty.

    The fingerprint is independent of the order of rows.
    """
    return _scan(connection, scheme, "") or empty_partitions(scheme)


def scan_months(
    connection: duckdb.DuckDBPyConnection, scheme: PartitionScheme, months: Collection[str]
) -> dict[str, PartitionStats]:
    """Return the statistics of some months; those without rows are absent.

    The range of `rowid` is read first, because DuckDB then skips the other row groups when it reads
    all columns.
    """
    if not months:
        return {}
    if not scheme.has_months:
        return scan_partitions(connection, scheme)
    condition = scheme.select_months(months)
    (first, last) = connection.execute(
        f"SELECT min({_ROW}.rowid), max({_ROW}.rowid) FROM {scheme.source} WHERE {condition}"  # noqa: S608 dates
    ).fetchone() or (None, None)
    if first is None:
        return {}
    within = f"WHERE {_ROW}.rowid BETWEEN {first} AND {last} AND {condition}"
    return _scan(connection, scheme, within)


def empty_partitions(scheme: PartitionScheme) -> dict[str, PartitionStats]:
    """Return the statistics of a table without rows."""
    return {UNKNOWN_MONTH if scheme.has_months else "": _EMPTY}


def _scan(
    connection: duckdb.DuckDBPyConnection, scheme: PartitionScheme, where: str
) -> dict[str, PartitionStats]:
    rows = connection.execute(
        f"SELECT {scheme.month_text}, count(*) || '-' || sum(hash({_ROW})), min({_ROW}.rowid), "  # noqa: S608 constants
        f"max({_ROW}.rowid) FROM {scheme.source} {where} GROUP BY 1"
    ).fetchall()
    return {name: PartitionStats(*stats) for name, *stats in rows}


_BATCH_ROWS = 20_000
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES '50MB'"


@dataclass(frozen=True)
class PartitionReader:
    """Reader of the partitions of a staging database.

    Attributes:
        connection: Connection to the database, in UTC.
        schemes: Partitioning of each table.
        partitions: Statistics of the months of each table; others are read when they are needed.
    """

    connection: duckdb.DuckDBPyConnection
    schemes: Mapping[str, PartitionScheme]
    partitions: Mapping[str, Mapping[str, PartitionStats]]

    def write_file(self, table: str, month: str, path: Path) -> None:
        """Write a partition to a Parquet file without the month, which is in the folder's name."""
        query = self._select(table, [month])
        if self.has_months(table):
            query = f"SELECT * EXCLUDE ({MONTH}) FROM ({query})"  # noqa: S608 names and dates
        self.connection.execute(f"COPY ({query}) TO {quote_text(str(path))} ({_OPTIONS})")

    def read(self, table: str, months: Iterable[str]) -> pa.RecordBatchReader:
        """Return a reader of some months of a table, in batches of 20,000 rows."""
        relation = self.connection.sql(self._select(table, months))
        return relation.to_arrow_reader(_BATCH_ROWS)

    def read_schema(self, table: str) -> pa.Schema:
        """Return the schema of the batches of `read`."""
        empty = f"SELECT * FROM ({self.schemes[table].sql}) LIMIT 0"  # noqa: S608 constants
        return self.connection.sql(empty).to_arrow_table().schema

    def has_months(self, table: str) -> bool:
        """Return whether a table is partitioned by month."""
        return self.schemes[table].has_months

    def _select(self, table: str, months: Iterable[str]) -> str:
        scheme, known_partitions = self.schemes[table], self.partitions[table]
        if not scheme.has_months:
            return scheme.sql
        wanted = tuple(months)
        if unknown := [month for month in wanted if month not in known_partitions]:
            known_partitions = {**known_partitions, **scan_months(self.connection, scheme, unknown)}
        return scheme.select({month: known_partitions.get(month, _EMPTY) for month in wanted})
