"""Audit log of the server, read from its newest entry to the oldest."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tower_etl.errors import ServerError
from tower_etl.schema import TABLES
from tower_etl.sync import AuditLogCursor
from tower_etl.timestamps import parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.api import Item, TowerClient
    from tower_etl.extract.failures import Failure

_AUDIT_LOGS = TABLES["audit_logs"]
_MAX_PAGES = 100  # per sync; a log of several years takes several syncs
_OVERLAP = timedelta(minutes=5)  # an entry may be written some time after its timestamp


def read_audit_logs(
    client: TowerClient, cursor: AuditLogCursor, now: datetime
) -> tuple[pa.Table, AuditLogCursor]:
    """Return the rows of the next log entries, and the cursor after them.

    Raises:
        ApiError: A page could not be read; the pages before it are then discarded.
    """
    until, before = cursor.until or now, cursor.reached or cursor.until or now
    after = cursor.since - _OVERLAP if cursor.since else None
    entries: list[Item] = []
    token: str | None = None
    for _ in range(_MAX_PAGES):
        page, token = client.list_audit_log_page(after, before, token)
        entries += page
        if not page or token is None:
            return _AUDIT_LOGS.build(entries), AuditLogCursor(since=until)
    times = [time for entry in entries if (time := parse_timestamp(entry.get("timestamp")))]
    return _AUDIT_LOGS.build(entries), AuditLogCursor(
        cursor.since, until, min(times, default=before)
    )


def describe_denial(failure: Failure) -> str:
    """Return the message for a server that denies its audit log by this failure."""
    cause = "The audit log is for administrators of servers that keep one"
    if isinstance(failure, ServerError):
        cause = "The server's answer for the audit log cannot be used"
    return f"{cause} ({failure})"
