"""The sync of a platform into a target, from the first look at it to the published file."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.garbage import collect_seldom
from tower_etl.http import Meter
from tower_etl.load.destination import as_destination
from tower_etl.load.failures import explained
from tower_etl.load.pipeline import (
    declare_tables,
    drain,
    forget_loaded,
    load_package,
    quiet_dlt,
)
from tower_etl.source import open_client, open_session, package_source, run_preflight
from tower_etl.tables import TABLES, Treatment

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt import Pipeline

    from tower_etl.api import TowerClient
    from tower_etl.clock import Clock
    from tower_etl.load.destination import Destination
    from tower_etl.load.target import Target
    from tower_etl.settings import Settings
    from tower_etl.source import Outcome, Reach, Session


@dataclass(frozen=True)
class Report:
    """How a sync ended.

    Attributes:
        outcome: What was done, workspace by workspace.
        calls: Requests that went out, retried ones included.
        retries: Those that repeated a failed one.
        throttled_seconds: Time for which the server's 429 answers held calls back.
        rows: Rows written, by table.
        seconds: From the first call to the published file.
    """

    outcome: Outcome
    calls: int
    retries: int
    throttled_seconds: float
    rows: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The object of `--json`."""
        return {
            "status": self.outcome.status,
            "calls": self.calls,
            "retries": self.retries,
            "throttled_seconds": round(self.throttled_seconds, 3),
            "rows": self.rows,
            "workspaces": [
                space.as_json() | {"pending": space.pending_as_json()}
                for space in self.outcome.workspaces.values()
            ],
            "seconds": round(self.seconds, 3),
            "warnings": [*self.outcome.warnings, *self.outcome.faults],
            "undocumented": self.outcome.undocumented,
        }


def _ignore(_session: Session) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Sync:
    """One sync, ready to be run.

    Attributes:
        settings: What is asked of which server.
        target: Where it goes.
        clock: Tells the time.
        on_start: Given the session when it starts, to show its progress and to stop it.
        meter: Counts what is spent, also where the sync fails.
    """

    settings: Settings
    target: Target | Destination
    clock: Clock = SYSTEM_CLOCK
    on_start: Callable[[Session], None] = field(default=_ignore)
    meter: Meter = field(default_factory=Meter)

    def run(self) -> Report:
        """Sync, and publish what came.

        A target that does not exist yet is touched only when the server has accepted the token.

        Raises:
            UsageError: A workspace is unknown, or a newer version wrote the target.
            FileAccessError: The operating system refuses a file or folder.
            TargetBusyError: Another sync holds the target.
            ApiError: The server could not be reached, or refuses the token.
            DestinationError: The disk is full, or the destination stopped answering.
            TowerEtlError: Loading failed.
        """
        started = self.clock.monotonic()
        Treatment.plan(self.settings.privacy, TABLES)  # wrong names show before the first call
        place = as_destination(self.target)
        with explained(place.title):
            session = self._run(place)
        return self._report(session, self.clock.monotonic() - started)

    def _run(self, place: Destination) -> Session:
        place.probe()
        client = open_client(self.settings, self.clock, self.meter)
        try:
            if place.is_begun:
                with place.hold(self.clock):
                    return self._load(place, client, self._reach(client))
            reach = self._reach(client)
            with place.hold(self.clock):
                return self._load(place, client, reach)
        finally:
            client.transport.close()

    def _reach(self, client: TowerClient) -> Reach:
        return run_preflight(client, self.settings.request.workspaces)

    def _load(self, place: Destination, client: TowerClient, reach: Reach) -> Session:
        place.prepare()
        session = open_session(self.settings, client, reach, self.clock, dialect=place.dialect)
        try:
            self.on_start(session)
            self._load_packages(place, session)
        finally:
            session.close()
        place.publish(self.clock.now(), session.specs)
        return session

    def _load_packages(self, place: Destination, session: Session) -> None:
        limits = self.settings.packages
        with quiet_dlt(), collect_seldom():
            pipeline = self._go_on(place, session)
            is_first = True
            while not session.is_done:
                source = package_source(session, session.specs, limits)
                is_new = is_first and declare_tables(pipeline, source, session.specs)
                with place.keep():
                    load_package(pipeline, source, makes_tables=is_new)
                is_first = False
                if not session.is_done:
                    gc.collect()
            forget_loaded(pipeline)

    def _go_on(self, place: Destination, session: Session) -> Pipeline:
        """The pipeline, with nothing left to do of what a killed sync left behind."""
        pipeline = place.open_pipeline()
        with place.keep():
            reason = drain(pipeline)
        if reason:
            place.start_over()
            pipeline = place.open_pipeline()
            with place.keep():
                pipeline.sync_destination()
            session.outcome.warnings.append(
                "A package that an interrupted sync left behind could not be loaded and was "
                f"given up; its runs are fetched again ({reason})."
            )
        return pipeline

    def _report(self, session: Session, seconds: float) -> Report:
        spent = self.meter.read()
        return Report(
            session.outcome,
            spent.calls,
            spent.retries,
            spent.throttled_seconds,
            session.rows,
            seconds,
        )
