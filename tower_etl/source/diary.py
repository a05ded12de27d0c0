"""The row that a sync writes about itself."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tower_etl.tables import sync_run_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.clock import Clock
    from tower_etl.http import JsonHttpClient
    from tower_etl.source.outcome import SyncResult
    from tower_etl.source.preflight import Discovery


@dataclass(frozen=True)
class SyncRunRecord:
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
    started_monotonic: float
    sync_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def start(cls, clock: Clock, version: str) -> SyncRunRecord:
        """Start the clock."""
        return cls(clock, version, clock.now(), clock.monotonic())

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self.clock.monotonic() - self.started_monotonic

    def to_table(
        self,
        sync_result: SyncResult,
        discovery: Discovery,
        http_client: JsonHttpClient,
        rows: Mapping[str, int],
    ) -> pa.Table:
        """The row of `sync_runs`. It lands with the last package, so it ends before that does."""
        stats = http_client.metrics.snapshot()
        return sync_run_rows(
            id=self.sync_id,
            started_at=self.started_at,
            finished_at=self.clock.now(),
            seconds=self.seconds,
            status=sync_result.status,
            endpoint=urlsplit(http_client.endpoint).netloc,
            server_version=discovery.server_version,
            api_version=discovery.api_version,
            connector_version=self.version,
            calls=stats.calls,
            retries=stats.retries,
            throttled_seconds=stats.throttled_seconds,
            runs_listed=sync_result.listed,
            runs_fetched=sync_result.fetched,
            reconciled=sync_result.reconciled,
            rows=dict(rows),
            workspaces=[space.as_json() for space in sync_result.workspaces.values()],
        )
