"""Months that load packages changed in a staging database, so that others need not be compared.

The months are recorded in the transaction that merges the package. Everything is compared once a
day all the same, because other programs may change the database, and after changes that move the
rows of other tables to another month.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from tower_etl.destinations.duckdb import DirectMergeDuckDB, DirectMergeDuckDBClient
from tower_etl.destinations.lake.partitions import partition_scheme

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import duckdb

_SCHEMA = "tower_etl_changes"
_CREATE = (
    f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}",
    f"CREATE TABLE IF NOT EXISTS {_SCHEMA}.months (table_name TEXT, month TEXT)",
    f"CREATE TABLE IF NOT EXISTS {_SCHEMA}.compared (compared_at TIMESTAMPTZ)",
)
_LAST = f"SELECT max(compared_at) FROM {_SCHEMA}.compared"  # noqa: S608 a constant
_CLEAR = f"DELETE FROM {_SCHEMA}.months"  # noqa: S608 a constant
_COMPARED = (f"DELETE FROM {_SCHEMA}.compared", f"INSERT INTO {_SCHEMA}.compared VALUES ($1)")  # noqa: S608 constants
_COMPARE_ALL_EVERY = timedelta(days=1)
_ANY = "*"  # in place of a table: the rows of any table may have moved to another month
# Tables whose time decides on the month of rows in other tables.
_PARENTS = ("workflows", "launches")


class RecordingClient(DirectMergeDuckDBClient):
    """dlt client that records the months of each package."""

    def merge_package(self, row_sources: Mapping[str, str]) -> None:
        """Merge all tables, and record the months of their new rows."""
        for statement in _CREATE:
            self.sql_client.execute_sql(statement)
        for name in _PARENTS:
            if name in row_sources and self._moves(name, row_sources[name]):
                self._record(_ANY, "SELECT ''")
        super().merge_package(row_sources)
        for name, row_source in row_sources.items():
            scheme = partition_scheme(name, row_source)
            self._record(name, f"SELECT DISTINCT {scheme.month_text} FROM {scheme.source}")  # noqa: S608 names of this package

    def _moves(self, name: str, row_source: str) -> bool:
        """Return whether a stored row gets another month, and its rows in other tables with it."""
        old, new = partition_scheme(name), partition_scheme(name, row_source)
        moved_rows = self.sql_client.execute_sql(
            f"SELECT 1 FROM (SELECT id, {old.month} AS m FROM {old.source}) AS a "  # noqa: S608 names of this package
            f"JOIN (SELECT id, {new.month} AS m FROM {new.source}) AS b USING (id) "
            "WHERE a.m <> b.m LIMIT 1"
        )
        return bool(moved_rows)

    def _record(self, name: str, months: str) -> None:
        self.sql_client.execute_sql(
            f"INSERT INTO {_SCHEMA}.months SELECT '{name}', m.* FROM ({months}) AS m"  # noqa: S608 names of this package
        )


class RecordingDuckDB(DirectMergeDuckDB):
    """dlt's DuckDB destination with `RecordingClient`."""

    client_class = RecordingClient


def read_changes(
    connection: duckdb.DuckDBPyConnection, now: datetime
) -> Mapping[str, frozenset[str]] | None:
    """Return the months that changed since `clear_changes` by table.

    Returns:
        None if everything must be compared.
    """
    for statement in _CREATE:
        connection.execute(statement)
    ((compared,),) = connection.execute(_LAST).fetchall()
    if compared is None or not timedelta() <= now - compared.astimezone(UTC) < _COMPARE_ALL_EVERY:
        return None
    months_by_table: dict[str, set[str]] = {}
    for name, month in connection.execute(f"FROM {_SCHEMA}.months").fetchall():
        months_by_table.setdefault(name, set()).add(month)
    if _ANY in months_by_table:
        return None
    return {name: frozenset(months) for name, months in months_by_table.items()}


def clear_changes(connection: duckdb.DuckDBPyConnection, compared_at: datetime | None) -> None:
    """Delete the recorded months after they were written to the lake.

    Args:
        connection: Connection to the staging database.
        compared_at: Time (UTC) at which everything was compared; None if only changes were.
    """
    for statement in _CREATE:
        connection.execute(statement)
    connection.begin()
    connection.execute(_CLEAR)
    if compared_at is not None:
        delete, insert = _COMPARED
        connection.execute(delete)
        connection.execute(insert, [compared_at])
    connection.commit()


def is_data_table(name: str) -> bool:
    """Return whether a table is loaded by packages, unlike dlt's internal ones."""
    return not name.startswith("_dlt_")
