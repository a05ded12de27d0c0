"""A destination under test: synced from a simulated platform, and read by independent programs."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg2
from deltalake import DeltaTable
from pyarrow import parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable

from tests.load.warehouse import ask_for
from tests.semantics.expected import index
from tower_etl.config.settings import PrivacySettings
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.dlt_pipeline import (
    declare_schema,
    dlt_defaults,
    load_package,
    load_pending_packages,
)
from tower_etl.pipeline import SyncRunner
from tower_etl.schema import TABLES
from tower_etl.source.resources import build_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.semantics.expected import Rows
    from tower_etl.clock import Clock
    from tower_etl.config.settings import PackageLimits
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.extract.session import SyncSession
    from tower_etl.pipeline import SyncReport

_USUAL = PrivacySettings()
CORE = frozenset(
    {
        *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
        *("workflow_labels", "labels", "sync_runs"),
    }
)
"""Tables whose rows the tests compare; every table is synced once at each destination."""
KINDS = ("duckdb", "parquet", "delta", "delta-s3", "iceberg", "iceberg-s3", "postgres")


@dataclass
class DestinationHarness:
    """A destination, and syncs of one platform into it at the time of the platform's clock.

    Attributes:
        place: The configuration of the destination.
        endpoint: Address of the platform.
        clock: The platform's clock.
        tables: Tables that are synced unless a sync names others.
    """

    place: DestinationConfig
    endpoint: str
    clock: Clock
    tables: frozenset[str] = CORE

    def sync(self, privacy: PrivacySettings = _USUAL, **request: Any) -> SyncReport:
        """Sync; `request` has the options that differ from the defaults."""
        settings = ask_for(self.endpoint, privacy, **{"tables": self.tables, **request})
        return SyncRunner(settings, open_destination(self.place), self.clock).run()

    def forget(self) -> None:
        """Delete all files that are outside the destination itself."""
        if not self.place.is_remote:
            path = Path(self.place.path)
            shutil.rmtree(path.with_name(f"{path.name}.sync"))
        shutil.rmtree(self.place.state, ignore_errors=True)

    def read(self, table: str) -> Rows:
        """Return rows by key, read by a program that does not use tower-etl."""
        rows = READERS[self.place.kind](self.place.path, table)
        keyed = index(table, [_tidy(table, row) for row in rows])
        assert len(keyed) == len(rows), f"{table} has a key twice"
        return keyed


class HarnessDestination:
    """Loads sessions as `tower-etl sync` does, and can crash before any batch.

    Attributes:
        tables: Rows by key, by table, as readers see them after the last load.
    """

    def __init__(self, harness: DestinationHarness) -> None:
        self._harness = harness
        self.tables: Mapping[str, Rows] = {name: {} for name in TABLES}

    def load(
        self, session: SyncSession, limits: PackageLimits, crash_at: int | None = None
    ) -> None:
        """Load all packages of a session and publish; crash before batch `crash_at`, if given."""
        from tests.semantics.duck import Crashing  # noqa: PLC0415 imports dlt

        feed: Any = Crashing(session, crash_at) if crash_at else session
        place = open_destination(self._harness.place)
        with place.lock(self._harness.clock), dlt_defaults():
            place.prepare()
            pipeline = place.open_pipeline()
            with place.package_context():
                assert load_pending_packages(pipeline) is None
            while not session.is_done:
                source = build_source(feed, session.table_specs, limits)
                is_new = declare_schema(pipeline, source, session.table_specs)
                with place.package_context():
                    load_package(pipeline, source, makes_tables=is_new)
            place.publish(self._harness.clock.now())
        self.tables = {name: self._harness.read(name) for name in TABLES}

    def rows_of(self, table: str, run_id: str) -> Rows:
        """Return the rows of one run."""
        column = "id" if table == "workflows" else "workflow_id"
        return {key: row for key, row in self.tables[table].items() if row[column] == run_id}


def _tidy(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of the table, with JSON as compact text."""
    names = {column.name: column.is_json for column in TABLES[table].columns}
    return {name: _compact(row[name]) if is_json else row[name] for name, is_json in names.items()}


def _compact(value: Any) -> Any:
    if value is None:
        return None
    parsed = json.loads(value) if isinstance(value, str) else value
    return json.dumps(parsed, separators=(",", ":"), ensure_ascii=False)


def _read_duckdb(path: str, table: str) -> list[dict[str, Any]]:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"SELECT * FROM tower.{table}")  # noqa: S608 trusted names
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _read_parquet(path: str, table: str) -> list[dict[str, Any]]:
    return list(parquet.read_table(f"{path}/{table}").to_pylist())


def _read_delta(path: str, table: str) -> list[dict[str, Any]]:
    return list(DeltaTable(f"{path}/{table}").to_pyarrow_table().to_pylist())


def _read_iceberg(path: str, table: str) -> list[dict[str, Any]]:
    if "://" in path:  # no catalog: the version hint names the newest metadata
        where = {"s3.endpoint": os.environ["AWS_ENDPOINT_URL"], "s3.region": "us-east-1"}
        found = StaticTable.from_metadata(f"{path}/{table}", where)
        return list(found.scan().to_arrow().to_pylist())
    with closing(SqlCatalog("tower", uri=f"sqlite:///{path}/catalog.db")) as catalog:
        return list(catalog.load_table(("tower", table)).scan().to_arrow().to_pylist())


def _read_postgres(path: str, table: str) -> list[dict[str, Any]]:
    with closing(psycopg2.connect(path)) as connection, connection.cursor() as cursor:
        connection.set_client_encoding("UTF8")
        cursor.execute(f"SELECT * FROM tower.{table}")  # noqa: S608 trusted names
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


READERS = {
    "duckdb": _read_duckdb,
    "parquet": _read_parquet,
    "delta": _read_delta,
    "iceberg": _read_iceberg,
    "postgres": _read_postgres,
}
