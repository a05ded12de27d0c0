"""Rows out of the working copy, as files or as Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.load.months import MONTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from tower_etl.load.months import PartitionScheme, PartitionStats

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
