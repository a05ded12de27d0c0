"""The dlt destinations of the matrix: how to create each one and to read it without tower-etl."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import dlt
import duckdb
import psycopg2
import pymysql
from deltalake import DeltaTable
from dlt.destinations.impl.ducklake.configuration import DuckLakeCredentials
from pyiceberg.table import StaticTable

from tests.dlt_destinations.mariadb import HOST
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Row = dict[str, Any]
DATASET = "tower"


@dataclass(frozen=True)
class Place:
    """An empty destination.

    Attributes:
        folder: Folder for files.
        server: Database server, if any: the folder of its socket, or its port.
    """

    folder: Path
    server: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of dlt destination, with the options of a pipeline run.

    Attributes:
        name: Name of the destination in dlt.
        make: Function that creates the dlt destination.
        read: Function that reads the rows of a table without tower-etl or dlt.
        variant: Database or format, if dlt's destination supports several.
        options: Arguments of `pipeline.run`.
        differs: Differences from DuckDB, for the documentation.
    """

    name: str
    make: Callable[[Place], Any]
    read: Callable[[Place, str], Iterable[Row]]
    variant: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    differs: str = ""

    @property
    def key(self) -> str:
        """Return name and variant."""
        return f"{self.name} {self.variant}".strip()


def _select(connection: Any, sql: str) -> list[Row]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _make_duckdb(place: Place) -> Any:
    return dlt.destinations.duckdb(str(place.folder / "history.duckdb"))


def _read_duckdb(place: Place, table: str) -> list[Row]:
    with duckdb.connect(str(place.folder / "history.duckdb"), read_only=True) as connection:
        return _select(connection, f"SELECT * FROM {DATASET}.{table}")  # noqa: S608 - no user input


def _make_postgres(place: Place) -> Any:
    address = f"postgresql://tower:unasked@{quote(place.server, safe='')}/postgres"
    return dlt.destinations.postgres(address)


def _read_postgres(place: Place, table: str) -> list[Row]:
    with closing(psycopg2.connect(f"postgresql://tower@/postgres?host={place.server}")) as found:
        return _select(found, f"SELECT * FROM {DATASET}.{table}")  # noqa: S608 - no user input


def _make_sqlite(place: Place) -> Any:
    return dlt.destinations.sqlalchemy(f"sqlite:///{place.folder}/history.db")


def _read_sqlite(place: Place, table: str) -> list[Row]:
    with closing(sqlite3.connect(place.folder / f"history__{DATASET}.db")) as connection:
        return _select(connection, f"SELECT * FROM {table}")  # noqa: S608 - no user input


def _make_mariadb(place: Place) -> Any:
    return dlt.destinations.sqlalchemy(f"mysql+pymysql://root@{HOST}:{place.server}/test")


def _read_mariadb(place: Place, table: str) -> list[Row]:
    with closing(pymysql.connect(host=HOST, port=int(place.server), user="root")) as connection:
        return _select(connection, f"SELECT * FROM {DATASET}.{table}")  # noqa: S608 - no user input


def _make_folder(place: Place) -> Any:
    return dlt.destinations.filesystem(str(place.folder / "history"))


def _read_delta(place: Place, table: str) -> list[Row]:
    path = place.folder / "history" / DATASET / table
    return list(DeltaTable(path).to_pyarrow_table().to_pylist())


def _read_iceberg(place: Place, table: str) -> list[Row]:
    path = place.folder / "history" / DATASET / table
    newest = max((path / "metadata").glob("*.metadata.json"))
    rows = StaticTable.from_metadata(str(newest)).scan().to_arrow().to_pylist()
    return [row for row in rows if not row.get("_removed")]


def _read_parquet(place: Place, table: str) -> list[Row]:
    files = place.folder / "history" / DATASET / table / "*.parquet"
    with duckdb.connect() as connection:
        return _select(connection, f"SELECT * FROM read_parquet('{files}')")  # noqa: S608 - no user input


def _read_jsonl(place: Place, table: str) -> list[Row]:
    files = place.folder / "history" / DATASET / table / "*.jsonl*"
    with duckdb.connect() as connection:
        return _select(connection, f"SELECT * FROM read_json('{files}')")  # noqa: S608 - no user input


def _make_ducklake(place: Place) -> Any:
    catalog, files = f"duckdb:///{place.folder}/catalog.duckdb", str(place.folder / "files")
    lake = DuckLakeCredentials("lake", catalog=catalog, storage=files)
    return dlt.destinations.ducklake(credentials=lake)


def _read_ducklake(place: Place, table: str) -> list[Row]:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH 'ducklake:{place.folder}/catalog.duckdb' AS lake")
        return _select(connection, f"SELECT * FROM lake.{DATASET}.{table}")  # noqa: S608 - no user input


_TEXT = "JSON is text"
_JSONL = {"loader_file_format": "jsonl"}
_PARQUET = {"loader_file_format": "parquet"}
REFUSED = {
    kind.key: kind
    for kind in (
        Kind("filesystem", _make_folder, _read_parquet, "Parquet", _PARQUET),
        Kind("filesystem", _make_folder, _read_jsonl, "JSON lines", _JSONL),
    )
}
KINDS = {
    kind.key: kind
    for kind in (
        Kind("duckdb", _make_duckdb, _read_duckdb, options=_PARQUET),
        Kind("ducklake", _make_ducklake, _read_ducklake, options=_PARQUET),
        Kind("postgres", _make_postgres, _read_postgres),
        Kind(
            "sqlalchemy",
            _make_sqlite,
            _read_sqlite,
            "SQLite",
            differs=f"{_TEXT}; times are text in UTC, truth values 0 and 1",
        ),
        Kind(
            "sqlalchemy",
            _make_mariadb,
            _read_mariadb,
            "MariaDB",
            differs=f"{_TEXT}; other text is `LONGTEXT`, compared by its bytes; "
            "times are in UTC, without zone",
        ),
        Kind(
            "filesystem",
            _make_folder,
            _read_delta,
            "Delta",
            {"table_format": "delta"},
            differs=_TEXT,
        ),
        Kind(
            "filesystem",
            _make_folder,
            _read_iceberg,
            "Iceberg",
            {"table_format": "iceberg"},
            differs=f"{_TEXT}; labels taken off a run stay in `workflow_labels`, with `_removed` "
            "true: read it `WHERE NOT _removed`",
        ),
    )
}


def tidy(table: str, row: Row) -> Row:
    """Return the specified columns of a row with the types of the table specification."""
    return {c.name: _convert(row[c.name], str(c.type), c.is_json) for c in TABLES[table].columns}


def _convert(value: Any, kind: str, is_json: bool) -> Any:  # noqa: FBT001 - a property of a column
    if value is None:
        return None
    if is_json:
        parsed = json.loads(value) if isinstance(value, str) else value
        return json.dumps(parsed, separators=(",", ":"), ensure_ascii=False)
    if kind == "bool":
        return bool(value)
    if kind.startswith("timestamp"):
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value
