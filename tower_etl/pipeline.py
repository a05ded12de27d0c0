"""One sync of a platform into a destination, from discovery to the published tables."""

from __future__ import annotations

import gc
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.dlt_pipeline import (
    declare_schema,
    delete_completed_packages,
    dlt_defaults,
    load_package,
    load_pending_packages,
)
from tower_etl.destinations.errors import explained
from tower_etl.extract.discovery import discover
from tower_etl.gc_tuning import reduced_gc
from tower_etl.http import RequestMetrics
from tower_etl.schema import TABLES
from tower_etl.source import open_client, open_session
from tower_etl.source.resources import build_source
from tower_etl.transform import ColumnPolicy
from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt import Pipeline

    from tower_etl.api import TowerClient
    from tower_etl.clock import Clock
    from tower_etl.config.settings import Settings
    from tower_etl.destinations.base import Destination
    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.result import SyncResult
    from tower_etl.extract.session import SyncSession

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncReport:
    """Summary of a sync.

    Attributes:
        result: Result of the sync.
        calls: Number of requests sent, retries included.
        retries: Number of requests that repeated a failed one.
        throttled_seconds: Time for which responses 429 held requests back.
        rows: Number of rows written by table.
        seconds: Seconds from the start of `SyncRunner.run` to the published tables.
    """

    result: SyncResult
    calls: int
    retries: int
    throttled_seconds: float
    rows: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the object of `--json`."""
        return {
            "status": self.result.status,
            "calls": self.calls,
            "retries": self.retries,
            "throttled_seconds": round(self.throttled_seconds, 3),
            "rows": self.rows,
            "workspaces": [
                workspace.as_json() | {"pending": workspace.pending_as_json()}
                for workspace in self.result.workspaces.values()
            ],
            "seconds": round(self.seconds, 3),
            "warnings": [*self.result.warnings, *self.result.reference_errors],
            "undocumented": self.result.undocumented,
        }


def _ignore(_session: SyncSession) -> None:
    """Do nothing when the session starts."""


@dataclass(frozen=True)
class SyncRunner:
    """One sync with its settings and destination.

    Attributes:
        settings: Endpoint, token and options of the sync.
        destination: Destination of the rows.
        clock: Source of the time.
        on_start: Called with the session when it starts, to show its progress and to stop it.
        metrics: Counters of requests, which are also valid after a failure.
    """

    settings: Settings
    destination: Destination
    clock: Clock = SYSTEM_CLOCK
    on_start: Callable[[SyncSession], None] = field(default=_ignore)
    metrics: RequestMetrics = field(default_factory=RequestMetrics)

    def run(self) -> SyncReport:
        """Run the sync and publish the tables.

        A destination that does not exist yet is created only after the server accepted the token.

        Raises:
            ConfigurationError: A workspace is unknown, or a newer version wrote the destination.
            FileAccessError: The operating system denies access to a file or folder.
            DestinationLockedError: Another sync has locked the destination.
            ApiError: The server could not be reached, or rejects the token.
            DestinationError: The disk is full, or the destination stopped answering.
            TowerEtlError: Loading failed.
        """
        started = self.clock.monotonic()
        # Report misspelt column names, and invalid seeds and price lists, before the first request.
        ColumnPolicy.from_settings(self.settings.privacy, TABLES)
        list(iter_views("seeds"))
        with explained(self.destination.title):
            session = self._run()
        return self._report(session, self.clock.monotonic() - started)

    def _run(self) -> SyncSession:
        self.destination.validate()
        client = open_client(self.settings, self.clock, self.metrics)
        try:
            # An existing destination is locked first, so that an overlapping sync makes no request.
            if self.destination.exists:
                with self.destination.lock(self.clock):
                    return self._load(client, self._discover(client))
            discovery = self._discover(client)
            with self.destination.lock(self.clock):
                return self._load(client, discovery)
        finally:
            client.http.close()

    def _discover(self, client: TowerClient) -> Discovery:
        return discover(client, self.settings.options.workspaces)

    def _load(self, client: TowerClient, discovery: Discovery) -> SyncSession:
        self.destination.prepare()
        session = open_session(
            self.settings, client, discovery, self.clock, dialect=self.destination.dialect
        )
        try:
            self.on_start(session)
            self._load_packages(session)
        finally:
            session.close()
        self.destination.publish(self.clock.now(), session.table_specs)
        return session

    def _load_packages(self, session: SyncSession) -> None:
        numbers = itertools.count(1)
        with dlt_defaults(), reduced_gc():
            pipeline = self.destination.open_pipeline()
            with self.destination.package_context():
                failure_reason = load_pending_packages(pipeline)
                if not failure_reason:
                    self._load_package(pipeline, session, next(numbers))
            if failure_reason:
                pipeline = _discard_pending(self.destination, session, failure_reason)
            while not session.is_done:
                gc.collect()  # dlt leaves reference cycles with the rows of a package
                with self.destination.package_context():
                    self._load_package(pipeline, session, next(numbers))
            delete_completed_packages(pipeline)

    def _load_package(self, pipeline: Pipeline, session: SyncSession, number: int) -> None:
        """Load a package of a session; the first one declares missing tables and columns."""
        source = build_source(session, session.table_specs, self.settings.package_limits)
        has_new_columns = number == 1 and declare_schema(pipeline, source, session.table_specs)
        load_package(pipeline, source, makes_tables=has_new_columns)
        _logger.info(
            "Load package %d committed: %d of %d runs fetched so far, %s",
            number,
            session.sync_result.fetched,
            session.sync_result.planned,
            ", ".join(f"{rows} {table}" for table, rows in sorted(session.row_counts.items())),
        )

    def _report(self, session: SyncSession, seconds: float) -> SyncReport:
        stats = self.metrics.snapshot()
        return SyncReport(
            session.sync_result,
            stats.calls,
            stats.retries,
            stats.throttled_seconds,
            session.row_counts,
            seconds,
        )


def _discard_pending(destination: Destination, session: SyncSession, reason: str) -> Pipeline:
    """Reset the destination to its published state, and return a new pipeline.

    Args:
        destination: Destination with a pending package that cannot be loaded.
        session: Session, whose result gets a warning.
        reason: Reason why the package cannot be loaded.
    """
    destination.reset()
    pipeline = destination.open_pipeline()
    with destination.package_context():
        pipeline.sync_destination()
    session.sync_result.warnings.append(
        "The pending load package of an interrupted sync could not be loaded and was discarded; "
        f"its runs are fetched again ({reason})."
    )
    return pipeline
