"""The row that a sync writes about itself."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tower_etl.tables import sync_run_batch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.clock import Clock
    from tower_etl.http import Transport
    from tower_etl.source.outcome import Outcome
    from tower_etl.source.preflight import Reach


@dataclass(frozen=True)
class Diary:
    """When and with what a sync started.

    Attributes:
        clock: Tells the time.
        version: Of this program.
        started_at: When the sync started (UTC).
        started: The same on the monotonic clock, in seconds.
        sync_id: Names the sync.
    """

    clock: Clock
    version: str
    started_at: datetime
    started: float
    sync_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def begin(cls, clock: Clock, version: str) -> Diary:
        """Start the clock."""
        return cls(clock, version, clock.now(), clock.monotonic())

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self.clock.monotonic() - self.started

    def write(
        self, outcome: Outcome, reach: Reach, transport: Transport, rows: Mapping[str, int]
    ) -> pa.Table:
        """The row of `sync_runs`. It lands with the last package, so it ends before that does."""
        spent = transport.meter.read()
        return sync_run_batch(
            id=self.sync_id,
            started_at=self.started_at,
            finished_at=self.clock.now(),
            seconds=self.seconds,
            status=outcome.status,
            endpoint=urlsplit(transport.endpoint).netloc,
            server_version=reach.server_version,
            api_version=reach.api_version,
            connector_version=self.version,
            calls=spent.calls,
            retries=spent.retries,
            throttled_seconds=spent.throttled_seconds,
            runs_listed=outcome.listed,
            runs_fetched=outcome.fetched,
            reconciled=outcome.reconciled,
            rows=dict(rows),
            workspaces=[space.as_json() for space in outcome.workspaces.values()],
        )
