"""PostgreSQL: dlt loads into the database directly, each package in one transaction.

No state is kept on this machine: every sync starts from the state in the database. Thus a sync may
run on any machine, and a database restored from a backup is synced from its own state. An
interrupted sync loses only the package that it was loading.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import dlt
import psycopg2
from dlt.destinations.impl.postgres.postgres import PostgresClient
from pyarrow import parquet
from pyarrow.csv import WriteOptions, write_csv

from tower_etl.config.settings import DATASET
from tower_etl.destinations.direct_merge import DirectMergeClient
from tower_etl.destinations.dlt_pipeline import PIPELINE, CachedCapabilities, make_pipeline
from tower_etl.destinations.errors import explain_connection
from tower_etl.destinations.foreign_tables import check_foreign_tables
from tower_etl.destinations.locks import locked_error
from tower_etl.errors import ConfigurationError, DestinationError
from tower_etl.schema import TABLES
from tower_etl.text import quote_name
from tower_etl.views.postgres import refresh_comments, refresh_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dlt.common.destination import DestinationCapabilitiesContext

    from tower_etl.clock import Clock
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.schema import TableSpec

T = TypeVar("T")

_NUMBER = '"row number"'  # with a space, so that it is not the name of a column
_BATCH_ROWS = 10_000  # of CSV text in memory
_LOCK = "hashtext('tower-etl'), hashtext(%s)"


@dataclass
class PostgresDestination:
    """PostgreSQL database.

    Attributes:
        address: libpq URL, possibly with a password; never shown.
        title: URL without credentials, for messages.
        folder: dlt's working folder, which every sync creates empty.
        dialect: SQL dialect of the database.
        exists: Always true.
    """

    address: str = field(repr=False)
    title: str
    folder: Path
    dialect: str = "postgres"
    exists: bool = True  # locking creates nothing, so lock before the first request
    _lock_connection: Any = field(default=None, repr=False)

    def validate(self) -> None:
        """Reject a database that cannot be reached, or with foreign tables under reserved names."""
        with closing(connect(self.address)) as connection:
            check_foreign_tables(lambda sql: execute(connection, sql), self.dialect, self.title)

    @contextmanager
    def lock(self, clock: Clock) -> Iterator[None]:
        """Hold an advisory lock, which PostgreSQL releases when the connection ends."""
        since = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
        name = f"tower-etl {os.getpid()} on {socket.gethostname()[:20]} {since}"
        self._lock_connection = connect(self.address, application_name=name)
        try:
            self._take_lock()
            yield
        finally:
            self._lock_connection.close()

    @contextmanager
    def package_context(self, memory: str | None = None) -> Iterator[None]:
        """Verify that the connection which holds the lock is alive.

        Args:
            memory: Ignored, because the server has its own settings.

        Raises:
            DestinationError: The connection was closed.
        """
        del memory
        try:
            execute(self._lock_connection, "SELECT 1")
        except psycopg2.Error as error:
            msg = f"{self.title} closed the connection that holds the sync lock. Run again."
            raise DestinationError(msg) from error
        yield

    def prepare(self) -> None:
        """Delete the files of an interrupted sync, and drop indexes of earlier versions."""
        # Pending packages are not loaded: the state in the database is that of the last package.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for table in TABLES.values():
            if any(_is_long(name) for name in table.key):
                execute(self._lock_connection, f'DROP INDEX IF EXISTS {DATASET}."{table.name}_key"')

    def reset(self) -> None:
        """Delete dlt's working files, as at the start of every sync."""
        self.prepare()

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """Return the pipeline that loads each package in one transaction."""
        database = DirectMergePostgres(self.address, destination_name="postgres")
        return make_pipeline(name, self.folder, database)

    def publish(self, published_at: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Create unique indexes on the keys, and refresh views and comments."""
        del published_at
        shutil.rmtree(self.folder, ignore_errors=True)
        for table in TABLES.values():
            key = ", ".join(_index_column(name) for name in table.key)
            execute(
                self._lock_connection,
                f'CREATE UNIQUE INDEX IF NOT EXISTS "{_name_index(table)}" '
                f'ON {DATASET}."{table.name}" ({key})',
            )
        refresh_views(self._lock_connection)
        refresh_comments(self._lock_connection, specs)

    def select(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the column names and the rows of a SELECT over unqualified names (UTC).

        Raises:
            ConfigurationError: The query fails, as it does before the first sync, or the statement
                returns no rows.
        """
        try:
            with self._open_reader() as connection, connection.cursor() as cursor:
                cursor.execute(sql)
                if cursor.description:
                    return [column.name for column in cursor.description], cursor.fetchall()
        except psycopg2.Error as error:
            msg = f"The query failed: {' '.join(str(error).split())}"
            raise ConfigurationError(msg) from None
        msg = "The statement returns no rows: expected a SELECT."
        raise ConfigurationError(msg)

    def read_with(self, reading: Callable[[Callable[[str], list[tuple[Any, ...]]]], T]) -> T:
        """Return the result of a function that queries the tables by unqualified names (UTC).

        Args:
            reading: Function that receives another one, which returns the rows of a SELECT.

        Raises:
            ConfigurationError: No sync has written to the database.
        """
        try:
            with self._open_reader() as connection:
                return reading(lambda sql: execute(connection, sql))
        except psycopg2.errors.UndefinedTable:
            msg = f"{self.title} contains no tables of tower-etl. Run `tower-etl sync` first."
            raise ConfigurationError(msg) from None

    @contextmanager
    def _open_reader(self) -> Iterator[Any]:
        """Yield a connection that only reads, with unqualified names and times in UTC."""
        with closing(connect(self.address)) as connection:
            execute(connection, f"SET search_path = {DATASET}")
            execute(connection, "SET TimeZone = 'UTC'")
            execute(connection, "SET default_transaction_read_only = on")
            yield connection

    def _take_lock(self) -> None:
        acquire = f"SELECT pg_try_advisory_lock({_LOCK})"
        if execute(self._lock_connection, acquire, DATASET) == [(True,)]:
            return
        # pg_locks shows the two integer keys of an advisory lock as unsigned oids.
        holders = execute(
            self._lock_connection,
            "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted "
            "AND locktype = 'advisory' AND (classid, objid) = "
            "(hashtext('tower-etl')::bigint & 4294967295, hashtext(%s)::bigint & 4294967295)",
            DATASET,
        )
        holder = ", ".join(name for (name,) in holders) or "a session that has just ended"
        raise locked_error(self.title, holder)


def _is_long(column: str) -> bool:
    """Return whether a key column may exceed the 2,704 bytes of a B-tree index entry."""
    return column == "process"


def _index_column(column: str) -> str:
    return f"md5({quote_name(column)})" if _is_long(column) else quote_name(column)


def _name_index(table: TableSpec) -> str:
    """Return the name of the key's index; it differs from earlier versions if over digests."""
    return f"{table.name}_digest" if any(map(_is_long, table.key)) else f"{table.name}_key"


def connect(address: str, **more: str) -> Any:  # noqa: ANN401 psycopg2 has no types
    """Return a connection in autocommit mode.

    Raises:
        ConfigurationError: The database cannot be reached, or denies access.
        DestinationError: The database is starting up, or has too many connections.
    """
    try:
        connection = psycopg2.connect(address, **more)
    except psycopg2.Error as error:
        raise explain_connection(error) from None
    connection.autocommit = True  # psycopg2 would otherwise hold a transaction open during the sync
    return connection


def execute(connection: Any, sql: str, *values: object) -> list[tuple[Any, ...]]:  # noqa: ANN401 psycopg2 has no types
    """Execute a statement and return its rows, if any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall()) if cursor.description else []


def open_postgres(config: DestinationConfig) -> PostgresDestination:
    """Return the database named by the path, the environment, dlt's or libpq's configuration.

    Raises:
        ConfigurationError: The database cannot be reached.
    """
    connection_string = config.path or config.credentials or _find_credentials() or ""
    with connect(connection_string) as connection:
        parts = connection.info
        title = f"postgresql://{parts.host}:{parts.port}/{parts.dbname}"
        address = _connection_url(parts)
    return PostgresDestination(address, title, config.find_state(title))


def _find_credentials() -> str | None:
    """Return the connection string of the destination in dlt's configuration."""
    credentials: Any = dlt.secrets.get("destination.postgres.credentials")
    if isinstance(credentials, str):
        return credentials
    if isinstance(credentials, dict):
        names = {"username": "user", "database": "dbname"}
        pairs = {str(names.get(k, k)): v for k, v in credentials.items() if k != "drivername"}
        return str(psycopg2.extensions.make_dsn(**pairs))
    return None


def _connection_url(parts: Any) -> str:  # noqa: ANN401 psycopg2 has no types
    """Return the parameters of a connection, including defaults of libpq, as a URL for dlt.

    The client encoding is set to UTF8: psycopg2 decodes text of a database in SQL_ASCII as ASCII
    otherwise, and fails on other characters.
    """
    options = {k: v for k, v in parts.dsn_parameters.items() if k.startswith("ssl")}
    options["client_encoding"] = "UTF8"
    placeholder = "none"  # dlt requires a password even if the server does not
    user, password = quote(parts.user, safe=""), quote(parts.password or placeholder, safe="")
    host = quote(parts.host, safe="")
    location = f"{host}:{parts.port}/{quote(parts.dbname, safe='')}"
    return f"postgresql://{user}:{password}@{location}?{urlencode(options)}"


class DirectMergePostgresClient(DirectMergeClient, PostgresClient):
    """dlt client that merges a package from its Parquet files, through temporary tables."""

    def read_files(self, name: str, paths: Sequence[str]) -> str:
        """Copy Parquet files into a temporary table, and return the name of the table.

        The table has the columns of dlt's schema, without constraints and without the columns that
        users have added, and the number of each row. PostgreSQL drops it at the end of the
        transaction. Its name hides no table from triggers of users.
        """
        copied = f'pg_temp."package of {name}"'
        qualified_name = self.sql_client.make_qualified_table_name(name)
        columns = ", ".join(map(quote_name, self.prepare_load_table(name)["columns"]))
        self.sql_client.execute_sql(
            f"CREATE TEMPORARY TABLE {copied} ON COMMIT DROP AS "  # noqa: S608 names of this package
            f"SELECT {columns} FROM {qualified_name} WITH NO DATA"
        )
        self.sql_client.execute_sql(
            f"ALTER TABLE {copied} ADD COLUMN {_NUMBER} bigint GENERATED ALWAYS AS IDENTITY"
        )
        with self.sql_client.native_connection.cursor() as cursor:
            for path in paths:
                _copy_parquet(cursor, path, copied)
        self.sql_client.execute_sql(f"ANALYZE {copied}")
        return copied

    def select_last(self, row_source: str, key: Sequence[str]) -> str:
        """Return a query of the last row of each key."""
        names = ", ".join(key)
        return f"SELECT DISTINCT ON ({names}) * FROM {row_source} ORDER BY {names}, {_NUMBER} DESC"  # noqa: S608 names of this package

    def insert(self, qualified_name: str, columns: str, query: str) -> None:
        """Insert the rows of a query into a table, without the number of each row."""
        self.sql_client.execute_sql(
            f"INSERT INTO {qualified_name} ({columns}) SELECT {columns} FROM ({query}) AS rows"  # noqa: S608 names of this package
        )


def _copy_parquet(cursor: Any, path: str, table: str) -> None:  # noqa: ANN401 psycopg2 has no types
    """Copy the rows of a Parquet file into a table, in batches, by COPY from CSV.

    Text is quoted and nulls are not, so that an empty text stays different from a null.
    """
    options = WriteOptions(include_header=False, quoting_style="all_valid")
    with parquet.ParquetFile(path) as file:
        names = ", ".join(map(quote_name, file.schema_arrow.names))
        for batch in file.iter_batches(_BATCH_ROWS):
            text = io.BytesIO()
            write_csv(batch, text, options)
            text.seek(0)
            cursor.copy_expert(
                f"COPY {table} ({names}) FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')", text
            )


class DirectMergePostgres(CachedCapabilities, dlt.destinations.postgres):
    """dlt's PostgreSQL destination with `DirectMergePostgresClient` and cached capabilities."""

    client_class = DirectMergePostgresClient

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """Return the capabilities; Parquet files need no ADBC driver here."""
        caps: DestinationCapabilitiesContext = super()._raw_capabilities()
        caps.loader_file_format_selector = None  # type: ignore[assignment]
        return caps
