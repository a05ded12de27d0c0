"""PostgreSQL: dlt loads straight into it, and each package becomes visible in one transaction.

No state is kept on this machine: every sync starts from what the database holds. So a database put
back from a backup is gone on from, and a sync may run on any machine. A killed sync costs the calls
of the package that it was loading.
"""

from __future__ import annotations

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
from dlt.destinations.sql_jobs import SqlMergeFollowupJob

from tower_etl.config.settings import DATASET
from tower_etl.destinations.dlt_pipeline import PIPELINE, cache_capabilities
from tower_etl.destinations.foreign_tables import refuse_foreign
from tower_etl.destinations.postgres_errors import explain_connection
from tower_etl.errors import ConfigurationError, DestinationError, DestinationLockedError
from tower_etl.schema import TABLES
from tower_etl.views.postgres import refresh_comments, refresh_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dlt.common.destination import PreparedTableSchema
    from dlt.common.destination.client import FollowupJobRequest

    from tower_etl.clock import Clock
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.schema import TableSpec

T = TypeVar("T")

_LOCK = "hashtext('tower-etl'), hashtext(%s)"


@dataclass
class PostgresDestination:
    """A database.

    Attributes:
        address: A libpq URL, with a password perhaps; never shown.
        title: The same without it.
        folder: dlt's working folder, made anew by every sync.
    """

    address: str = field(repr=False)
    title: str
    folder: Path
    dialect: str = "postgres"
    exists: bool = True  # a lock in a database leaves no trace
    _holding: Any = field(default=None, repr=False)

    def validate(self) -> None:
        """Refuse a database that cannot be reached, or with a table of a user in ours' place."""
        with closing(connect(self.address)) as connection:
            refuse_foreign(lambda sql: execute(connection, sql), self.dialect, self.title)

    @contextmanager
    def lock(self, clock: Clock) -> Iterator[None]:
        """Hold a lock of the database, which is gone with the connection."""
        since = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
        name = f"tower-etl {os.getpid()} on {socket.gethostname()[:20]} {since}"
        self._holding = connect(self.address, application_name=name)
        try:
            self._take_lock()
            yield
        finally:
            self._holding.close()

    @contextmanager
    def package_context(self, memory: str | None = None) -> Iterator[None]:
        """Stop where the connection that holds the lock is gone.

        Args:
            memory: Ignored: the server has its own settings.

        Raises:
            DestinationError: It is.
        """
        del memory
        try:
            execute(self._holding, "SELECT 1")
        except psycopg2.Error as error:
            msg = f"{self.title} closed the connection that kept other syncs out: run again."
            raise DestinationError(msg) from error
        yield

    def prepare(self) -> None:
        """Forget what a killed sync left on this machine, and drop indexes of earlier versions."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for table in TABLES.values():
            if any(_is_long(name) for name in table.key):
                execute(self._holding, f'DROP INDEX IF EXISTS {DATASET}."{table.name}_key"')

    def reset(self) -> None:
        """As every sync does."""
        self.prepare()

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """It loads packages whole."""
        return dlt.pipeline(
            name,
            pipelines_dir=str(self.folder),
            destination=SingleTransactionPostgres(self.address, destination_name="postgres"),
            dataset_name=DATASET,
        )

    def publish(self, now: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Let the database itself hold every key to one row, and see to views and comments."""
        del now
        shutil.rmtree(self.folder, ignore_errors=True)
        for table in TABLES.values():
            key = ", ".join(_index_column(name) for name in table.key)
            execute(
                self._holding,
                f'CREATE UNIQUE INDEX IF NOT EXISTS "{_name_index(table)}" '
                f'ON {DATASET}."{table.name}" ({key})',
            )
        refresh_views(self._holding)
        refresh_comments(self._holding, specs)

    def read_with(self, reading: Callable[[Callable[[str], list[tuple[Any, ...]]]], T]) -> T:
        """What is found by asking it; tables go by their bare names.

        Raises:
            ConfigurationError: No sync has written to it.
        """
        connection = connect(self.address)
        try:
            execute(connection, f"SET search_path = {DATASET}")
            execute(connection, "SET TimeZone = 'UTC'")
            return reading(lambda sql: execute(connection, sql))
        except psycopg2.errors.UndefinedTable:
            msg = f"{self.title} has no tables of a sync: run `tower-etl sync` first."
            raise ConfigurationError(msg) from None
        finally:
            connection.close()

    def _take_lock(self) -> None:
        if execute(self._holding, f"SELECT pg_try_advisory_lock({_LOCK})", DATASET) == [(True,)]:
            return
        holders = execute(
            self._holding,
            "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted "
            "AND locktype = 'advisory' AND (classid, objid) = "
            "(hashtext('tower-etl')::bigint & 4294967295, hashtext(%s)::bigint & 4294967295)",
            DATASET,
        )
        holder = ", ".join(name for (name,) in holders) or "one that has just ended"
        msg = (
            f"Another sync is writing into {self.title}: {holder}. This one changed nothing; run "
            "it again when the other is done."
        )
        raise DestinationLockedError(msg)


def _is_long(column: str) -> bool:
    """Whether a key column may hold more text than fits an index, as the name of a process."""
    return column == "process"


def _index_column(column: str) -> str:
    return f'md5("{column}")' if _is_long(column) else f'"{column}"'


def _name_index(table: TableSpec) -> str:
    """Return the name of the index; those over digests have another one than earlier versions."""
    return f"{table.name}_digest" if any(map(_is_long, table.key)) else f"{table.name}_key"


def connect(address: str, **more: str) -> Any:  # noqa: ANN401 psycopg2 has no types
    """A connection whose statements are each a transaction.

    Raises:
        ConfigurationError: The database cannot be reached, or refuses.
        DestinationError: It is starting up, or has too many connections.
    """
    try:
        connection = psycopg2.connect(address, **more)
    except psycopg2.Error as error:
        raise explain_connection(error) from None
    connection.autocommit = True
    return connection


def execute(connection: Any, sql: str, *values: object) -> list[tuple[Any, ...]]:  # noqa: ANN401 likewise
    """The rows of a statement; none where it gives none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall()) if cursor.description else []


def open_postgres(place: DestinationConfig) -> PostgresDestination:
    """The database that a path, the environment, dlt's or PostgreSQL's configuration names.

    Raises:
        ConfigurationError: It cannot be reached.
    """
    given = place.path or place.credentials or _find_credentials() or ""
    with connect(given) as connection:
        parts = connection.info
        title = f"postgresql://{parts.host}:{parts.port}/{parts.dbname}"
        address = _connection_url(parts)
    return PostgresDestination(address, title, place.find_state(title))


def _find_credentials() -> str | None:
    """What dlt's configuration says of the destination."""
    found: Any = dlt.secrets.get("destination.postgres.credentials")
    if isinstance(found, str):
        return found
    if isinstance(found, dict):
        names = {"username": "user", "database": "dbname"}
        pairs = {str(names.get(k, k)): v for k, v in found.items() if k != "drivername"}
        return str(psycopg2.extensions.make_dsn(**pairs))
    return None


def _connection_url(parts: Any) -> str:  # noqa: ANN401 psycopg2 has no types
    """The address with all that libpq found elsewhere, as dlt wants it: a URL.

    The encoding is set because a database in SQL_ASCII hands out text that psycopg2 takes for
    ASCII, and fails to decode, unless it is told that what was stored is UTF-8.
    """
    options = {k: v for k, v in parts.dsn_parameters.items() if k.startswith("ssl")}
    options["client_encoding"] = "UTF8"
    unasked = "none"  # dlt insists on a password, also where the server asks for none
    user, password = quote(parts.user, safe=""), quote(parts.password or unasked, safe="")
    host = quote(parts.host, safe="")
    where = f"{host}:{parts.port}/{quote(parts.dbname, safe='')}"
    return f"postgresql://{user}:{password}@{where}?{urlencode(options)}"


class SingleTransactionPostgresClient(PostgresClient):
    """Merges when a package is completed, and not before."""

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        """None: `complete_load` does it."""
        del table_chain
        return []

    def complete_load(self, load_id: str) -> None:
        """Merge all that is staged, and record the package."""
        with self.sql_client.begin_transaction():
            for table in list(self._iter_staged()):
                for statement in SqlMergeFollowupJob.generate_sql([table], self.sql_client):
                    self.sql_client.execute_sql(statement)
            super().complete_load(load_id)

    def _iter_staged(self) -> Iterator[PreparedTableSchema]:
        """The tables with rows in the staging schema.

        Rows that an earlier package left there are the newest of their keys still: a package that
        has newer ones empties the table first. Merging them again changes nothing.
        """
        for name in self.schema.data_table_names(seen_data_only=True):
            table = self.prepare_load_table(name)
            if table["write_disposition"] == "merge" and self._has_staged(name):
                yield table

    def _has_staged(self, name: str) -> bool:
        with self.sql_client.with_staging_dataset():
            staged = self.sql_client.make_qualified_table_name(name)
        found: Any = self.sql_client.execute_sql(f"SELECT EXISTS (SELECT FROM {staged})")  # noqa: S608 ours
        return bool(found[0][0])


class SingleTransactionPostgres(dlt.destinations.postgres):
    """The destination with that client."""

    capabilities = cache_capabilities(dlt.destinations.postgres.capabilities)

    @property
    def client_class(self) -> type[SingleTransactionPostgresClient]:
        """The client."""
        return SingleTransactionPostgresClient
