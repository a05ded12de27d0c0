"""The audit log, newest entry first, a bounded number of pages at each sync."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tower_etl.sync import AuditLogCursor
from tower_etl.tables import TABLES, parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.api import Item, TowerClient

_PAGES = 100  # at each sync; a log of years comes in over a few of them
_OVERLAP = timedelta(minutes=5)  # an entry may be written a little after its time


def read_audit_logs(
    client: TowerClient, cursor: AuditLogCursor, now: datetime
) -> tuple[pa.Table, AuditLogCursor]:
    """The next entries, and how far the log is read with them.

    Raises:
        ApiError: A page could not be had; nothing of the walk is used then.
    """
    until, before = cursor.until or now, cursor.reached or cursor.until or now
    after = cursor.since - _OVERLAP if cursor.since else None
    entries: list[Item] = []
    token: str | None = None
    for _ in range(_PAGES):
        page, token = client.list_audit_log_page(after, before, token)
        entries += page
        if not page or token is None:
            return _build(entries), AuditLogCursor(since=until)
    times = [moment for entry in entries if (moment := parse_timestamp(entry.get("timestamp")))]
    return _build(entries), AuditLogCursor(cursor.since, until, min(times, default=before))


def _build(entries: list[Item]) -> pa.Table:
    return TABLES["audit_logs"].build(entries)
