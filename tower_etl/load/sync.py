"""The sync of a platform into a target, from the first look at it to the published file."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import UsageError
from tower_etl.http import Meter
from tower_etl.load.lock import hold_lock
from tower_etl.load.pipeline import (
    collect_seldom,
    drain,
    forget_loaded,
    keep_open,
    load_package,
    open_pipeline,
    quiet_dlt,
)
from tower_etl.load.publish import Publisher
from tower_etl.load.reader import open_reader
from tower_etl.load.views import apply_views, iter_views
from tower_etl.source import open_client, open_session, package_source, run_preflight
from tower_etl.tables import TABLES, Treatment

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dlt import Pipeline

    from tower_etl.api import TowerClient
    from tower_etl.clock import Clock
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
            "workspaces": [space.as_json() for space in self.outcome.workspaces.values()],
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
    target: Target
    clock: Clock = SYSTEM_CLOCK
    on_start: Callable[[Session], None] = field(default=_ignore)
    meter: Meter = field(default_factory=Meter)

    def run(self) -> Report:
        """Sync, and publish what came.

        A target that does not exist yet is touched only when the server has accepted the token.

        Raises:
            UsageError: A workspace is unknown, or a newer version wrote the target.
            TargetBusyError: Another sync holds the target.
            ApiError: The server could not be reached, or refuses the token.
            TowerEtlError: Loading failed.
        """
        started = self.clock.monotonic()
        Treatment.plan(self.settings.privacy, TABLES)  # wrong names show before the first call
        probe(self.target)
        client = open_client(self.settings, self.clock, self.meter)
        try:
            if self.target.folder.is_dir():
                with self._lock():
                    session = self._load(client, self._reach(client))
            else:
                reach = self._reach(client)
                with self._lock():
                    session = self._load(client, reach)
        finally:
            client.transport.close()
        return self._report(session, self.clock.monotonic() - started)

    def _lock(self) -> AbstractContextManager[None]:
        return hold_lock(self.target.folder, str(self.target.path), self.clock.now())

    def _reach(self, client: TowerClient) -> Reach:
        return run_preflight(client, self.settings.request.workspaces)

    def _load(self, client: TowerClient, reach: Reach) -> Session:
        publisher = Publisher(self.target)
        publisher.open_draft()
        session = open_session(self.settings, client, reach, self.clock)
        try:
            self.on_start(session)
            self._load_packages(session)
        finally:
            session.close()
        apply_views(self.target.draft)
        publisher.publish()
        return session

    def _load_packages(self, session: Session) -> None:
        limits = self.settings.packages
        with quiet_dlt(), collect_seldom():
            pipeline = self._go_on(session)
            while not session.is_done:
                with keep_open(self.target):
                    load_package(pipeline, package_source(lambda: session, session.specs, limits))
                if not session.is_done:
                    gc.collect()
            forget_loaded(pipeline)

    def _go_on(self, session: Session) -> Pipeline:
        """The pipeline, with nothing left to do of what a killed sync left behind."""
        pipeline = open_pipeline(self.target)
        with keep_open(self.target):
            reason = drain(pipeline)
        if reason:
            Publisher(self.target).start_over()
            pipeline = open_pipeline(self.target)
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


def probe(target: Target) -> None:
    """Refuse a file that DuckDB cannot open, before anything is made beside it.

    A file that another program has open to write cannot be looked into, and is none the worse. A
    log beside it may be of a program that goes on writing to a file that was replaced: what
    cannot be opened with such a log, but without it, loses the log.

    Raises:
        UsageError: The file is damaged.
    """
    reason = _find_damage(target.path)
    log = target.path.with_name(target.path.name + ".wal")
    if reason and log.exists():
        aside = log.with_name(f"{log.name}.orphan-{time.time_ns()}")
        log.rename(aside)
        reason = _find_damage(target.path)
        if reason:
            aside.rename(log)
    if reason:
        msg = (
            f"{target.path} is damaged ({reason}): restore it from a copy, or give another --path."
        )
        raise UsageError(msg)


def _find_damage(path: Path) -> str | None:
    """Why DuckDB cannot open a file, None if it can or if another program has it open."""
    if not path.exists():
        return None
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:200]
        busy = "lock" in reason.lower() or "configuration" in reason.lower()
        return None if busy else reason
    return None


def refresh_views(target: Target, clock: Clock = SYSTEM_CLOCK) -> int:
    """Create or replace the views of a target, published like a sync; how many there are.

    Raises:
        UsageError: No sync has written to the target yet.
        TargetBusyError: A sync holds it.
    """
    open_reader(target.path).close()
    publisher = Publisher(target)
    with hold_lock(target.folder, str(target.path), clock.now()):
        if target.draft.exists():
            msg = f"A sync into {target.path} was interrupted: run `tower-etl sync`, which goes on."
            raise UsageError(msg)
        publisher.open_draft()
        apply_views(target.draft)
        publisher.publish()
    return len(list(iter_views()))
