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

    from tower_etl.load.months import Cut

_BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Export:
    """The tables of the working copy.

    Attributes:
        connection: To it, in UTC.
        cuts: How each table is cut.
    """

    connection: duckdb.DuckDBPyConnection
    cuts: Mapping[str, Cut]

    def write_file(self, table: str, month: str, path: Path) -> None:
        """One month of a table as a Parquet file; the folder it is in names the month."""
        cut = self.cuts[table]
        rows = cut.select([month])
        if cut.has_months:
            rows = f"SELECT * EXCLUDE ({MONTH}) FROM ({rows})"  # noqa: S608 names and dates
        quoted = str(path).replace("'", "''")
        self.connection.execute(f"COPY ({rows}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")

    def read(self, table: str, months: Iterable[str]) -> pa.RecordBatchReader:
        """Some months of a table, a batch at a time."""
        relation = self.connection.sql(self.cuts[table].select(months))
        return relation.to_arrow_reader(_BATCH_ROWS)

    def read_schema(self, table: str) -> pa.Schema:
        """The columns of a table, as `read` gives them."""
        empty = f"SELECT * FROM ({self.cuts[table].sql}) LIMIT 0"  # noqa: S608 names are ours
        return self.connection.sql(empty).to_arrow_table().schema

    def has_months(self, table: str) -> bool:
        """Whether a table is cut at all."""
        return self.cuts[table].has_months
