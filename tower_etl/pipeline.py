"""The sync of a platform into a target, from the first look at it to the published file."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.base import open_configured
from tower_etl.destinations.dlt_pipeline import (
    declare_schema,
    delete_completed_packages,
    dlt_defaults,
    load_package,
    load_pending_packages,
)
from tower_etl.destinations.errors import explained
from tower_etl.destinations.locks import file_lock
from tower_etl.destinations.staging_file import StagingFile
from tower_etl.errors import ConfigurationError
from tower_etl.extract.discovery import discover
from tower_etl.gc_tuning import reduced_gc
from tower_etl.http import RequestMetrics
from tower_etl.schema import TABLES
from tower_etl.source import open_client, open_session
from tower_etl.source.resources import build_source
from tower_etl.transform import ColumnPolicy
from tower_etl.views.definitions import apply_views, iter_views
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt import Pipeline

    from tower_etl.api import TowerClient
    from tower_etl.clock import Clock
    from tower_etl.config.settings import Settings
    from tower_etl.destinations.base import Destination
    from tower_etl.destinations.duckdb_paths import DuckDBPaths
    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.result import SyncResult
    from tower_etl.extract.session import SyncSession

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncReport:
    """How a sync ended.

    Attributes:
        sync_result: What was done, workspace by workspace.
        calls: Requests that went out, retried ones included.
        retries: Those that repeated a failed one.
        throttled_seconds: Time for which the server's 429 answers held calls back.
        rows: Rows written, by table.
        seconds: From the first call to the published file.
    """

    result: SyncResult
    calls: int
    retries: int
    throttled_seconds: float
    rows: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The object of `--json`."""
        return {
            "status": self.result.status,
            "calls": self.calls,
            "retries": self.retries,
            "throttled_seconds": round(self.throttled_seconds, 3),
            "rows": self.rows,
            "workspaces": [
                space.as_json() | {"pending": space.pending_as_json()}
                for space in self.result.workspaces.values()
            ],
            "seconds": round(self.seconds, 3),
            "warnings": [*self.result.warnings, *self.result.reference_errors],
            "undocumented": self.result.undocumented,
        }


def _ignore(_session: SyncSession) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class SyncRunner:
    """One sync, ready to be run.

    Attributes:
        settings: What is asked of which server.
        target: Where it goes.
        clock: Tells the time.
        on_start: Given the session when it starts, to show its progress and to stop it.
        metrics: Counts what is spent, also where the sync fails.
    """

    settings: Settings
    target: DuckDBPaths | Destination
    clock: Clock = SYSTEM_CLOCK
    on_start: Callable[[SyncSession], None] = field(default=_ignore)
    metrics: RequestMetrics = field(default_factory=RequestMetrics)

    def run(self) -> SyncReport:
        """Sync, and publish what came.

        A target that does not exist yet is touched only when the server has accepted the token.

        Raises:
            ConfigurationError: A workspace is unknown, or a newer version wrote the target.
            FileAccessError: The operating system refuses a file or folder.
            DestinationLockedError: Another sync holds the target.
            ApiError: The server could not be reached, or refuses the token.
            DestinationError: The disk is full, or the destination stopped answering.
            TowerEtlError: Loading failed.
        """
        started = self.clock.monotonic()
        ColumnPolicy.from_settings(
            self.settings.privacy, TABLES
        )  # wrong names show before the first call
        list(iter_views("seeds"))  # likewise files of the user's
        place = open_configured(self.target)
        with explained(place.title):
            session = self._run(place)
        return self._report(session, self.clock.monotonic() - started)

    def _run(self, place: Destination) -> SyncSession:
        place.validate()
        client = open_client(self.settings, self.clock, self.metrics)
        try:
            if place.exists:
                with place.lock(self.clock):
                    return self._load(place, client, self._discover(client))
            discovery = self._discover(client)
            with place.lock(self.clock):
                return self._load(place, client, discovery)
        finally:
            client.http.close()

    def _discover(self, client: TowerClient) -> Discovery:
        return discover(client, self.settings.options.workspaces)

    def _load(self, place: Destination, client: TowerClient, discovery: Discovery) -> SyncSession:
        place.prepare()
        session = open_session(self.settings, client, discovery, self.clock, dialect=place.dialect)
        try:
            self.on_start(session)
            self._load_packages(place, session)
        finally:
            session.close()
        place.publish(self.clock.now(), session.table_specs)
        return session

    def _load_packages(self, place: Destination, session: SyncSession) -> None:
        limits = self.settings.package_limits
        with dlt_defaults(), reduced_gc():
            pipeline = self._resume(place, session)
            is_first, packages = True, 0
            while not session.is_done:
                source = build_source(session, session.table_specs, limits)
                is_new = is_first and declare_schema(pipeline, source, session.table_specs)
                with place.package_context():
                    load_package(pipeline, source, makes_tables=is_new)
                is_first = False
                packages += 1
                _logger.info(
                    "Load package %d committed: %d of %d runs fetched so far, %s",
                    packages,
                    session.sync_result.fetched,
                    session.sync_result.planned,
                    ", ".join(f"{rows} {table}" for table, rows in sorted(session.rows.items())),
                )
                if not session.is_done:
                    gc.collect()
            delete_completed_packages(pipeline)

    def _resume(self, place: Destination, session: SyncSession) -> Pipeline:
        """The pipeline, with nothing left to do of what a killed sync left behind."""
        pipeline = place.open_pipeline()
        with place.package_context():
            reason = load_pending_packages(pipeline)
        if reason:
            place.reset()
            pipeline = place.open_pipeline()
            with place.package_context():
                pipeline.sync_destination()
            session.sync_result.warnings.append(
                "A package that an interrupted sync left behind could not be loaded and was "
                f"given up; its runs are fetched again ({reason})."
            )
        return pipeline

    def _report(self, session: SyncSession, seconds: float) -> SyncReport:
        stats = self.metrics.snapshot()
        return SyncReport(
            session.sync_result,
            stats.calls,
            stats.retries,
            stats.throttled_seconds,
            session.rows,
            seconds,
        )


def refresh_views(target: DuckDBPaths, clock: Clock = SYSTEM_CLOCK) -> int:
    """Create or replace the views of a target, published like a sync; how many there are.

    Raises:
        ConfigurationError: No sync has written to the target yet.
        DestinationLockedError: A sync holds it.
    """
    open_reader(target.path).close()
    publisher = StagingFile(target)
    with file_lock(target.work_dir, str(target.path), clock.now()):
        if target.staging.exists():
            msg = f"A sync into {target.path} was interrupted: run `tower-etl sync`, which goes on."
            raise ConfigurationError(msg)
        publisher.prepare()
        publisher.publish(apply_views(target.staging))
    return len(list(iter_views()))
