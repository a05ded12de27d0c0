"""State of reference data: pending, denied and requested tables, and unresolved ids."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from tower_etl.sync.state import load_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping
    from datetime import datetime

_MAX_UNRESOLVED = 1000  # the largest ids are kept


@dataclass(frozen=True)
class AuditLogCursor:
    """Cursor of the audit log, which is read from its newest entry to the oldest.

    Attributes:
        since: Time up to which all entries were loaded (UTC), None for none.
        until: Time at which the current pass began (UTC), None without one.
        reached: Time of the oldest entry that the current pass has read (UTC).
    """

    since: datetime | None = None
    until: datetime | None = None
    reached: datetime | None = None


@dataclass(frozen=True)
class ReferenceState:
    """State of reference data.

    Attributes:
        pending: Tables that could not be read everywhere, and are requested by the next sync.
        requested: Keys of the workspaces for which a table was requested, by table.
        denied: Partitions that denied access, by table; reported once, and requested again at
            each reconciliation.
        unresolved: Ids of pipelines that runs reference and no list contains.
        service_info_digest: Digest of the last information that the server gave about itself.
        audit_log_cursor: Cursor of the audit log.
        unavailable_launches: Ids of launches of open runs that could not be fetched;
            reconciliations request them again.
        launches_after: Id of the launch after which the requests of missing launches resume, None
            for the beginning.
    """

    pending: frozenset[str] = frozenset()
    requested: Mapping[str, frozenset[str]] = field(default_factory=dict)
    denied: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unresolved: frozenset[int] = frozenset()
    service_info_digest: str | None = None
    audit_log_cursor: AuditLogCursor = field(default_factory=AuditLogCursor)
    unavailable_launches: frozenset[str] = frozenset()
    launches_after: str | None = None

    def record_access(
        self, table: str, denied: Iterable[str], granted: Iterable[str]
    ) -> ReferenceState:
        """Return the state after partitions denied or granted access to a table."""
        still_denied = self.denied.get(table, frozenset()) - frozenset(granted) | frozenset(denied)
        partitions = {**self.denied, table: still_denied}
        return replace(self, denied={name: keys for name, keys in partitions.items() if keys})

    def list_not_requested(self, tables: Iterable[str], keys: Iterable[str]) -> frozenset[str]:
        """Return the tables that were not requested for each of the workspaces."""
        workspaces = frozenset(keys)
        return frozenset(
            table for table in tables if workspaces - self.requested.get(table, frozenset())
        )

    def record_requested(self, tables: Iterable[str], keys: Iterable[str]) -> ReferenceState:
        """Return the state after tables were requested for workspaces."""
        added = {table: self.requested.get(table, frozenset()).union(keys) for table in tables}
        return replace(self, requested={**self.requested, **added})

    def discard_requested(self, tables: Iterable[str], keys: Iterable[str]) -> ReferenceState:
        """Return the state in which tables count as not requested for workspaces."""
        remaining = {
            table: self.requested.get(table, frozenset()).difference(keys) for table in tables
        }
        return replace(self, requested={**self.requested, **remaining})

    def record_unresolved(self, pipelines: Iterable[int]) -> ReferenceState:
        """Return the state with pipeline ids that no list contains (at most 1,000 are kept)."""
        kept = sorted(self.unresolved | frozenset(pipelines))[-_MAX_UNRESOLVED:]
        return replace(self, unresolved=frozenset(kept))


def read_reference_state(state: Mapping[str, Any]) -> ReferenceState:
    """Return the state of reference data from the state of the dlt source.

    The coverage of a table is in the state of its resource, which dlt resets together with the
    table. State version 1 kept it with the rest, and loaded history tables with their tables.
    """
    resources, stored = state.get("resources", {}), state.get("entities") or {}
    pending = stored.get("owed")  # a boolean in state version 1
    version_1_tables = () if pending is True else stored.get("loaded", ())
    keys = frozenset(state.get("workspaces", {}))
    requested = {name: keys for table in version_1_tables for name in (table, f"{table}_history")}
    requested |= {
        name: frozenset(resource["loaded"])
        for name, resource in resources.items()
        if "loaded" in resource
    }
    audit = resources.get("audit_logs", {}).get("cursor") or stored.get("audit", {})
    digest = resources.get("service_info", {}).get("digest") or stored.get("service")
    return ReferenceState(
        pending=frozenset(pending if isinstance(pending, list) else ()),
        requested=requested,
        denied={table: frozenset(keys) for table, keys in stored.get("refused", {}).items()},
        unresolved=frozenset(stored.get("unknown", ())),
        service_info_digest=digest,
        audit_log_cursor=AuditLogCursor(
            **{name: load_timestamp(text) for name, text in audit.items()}
        ),
        unavailable_launches=frozenset(stored.get("launches", ())),
        launches_after=stored.get("launches_after"),
    )


def write_reference_state(state: MutableMapping[str, Any], reference_state: ReferenceState) -> None:
    """Write the state of reference data into the state of the dlt source."""
    state["entities"] = entities = {
        "owed": sorted(reference_state.pending),
        "refused": {table: sorted(keys) for table, keys in sorted(reference_state.denied.items())},
        "unknown": sorted(reference_state.unresolved),
        "service": reference_state.service_info_digest,
        "audit": {
            name: _dump(time) for name, time in vars(reference_state.audit_log_cursor).items()
        },
        "launches": sorted(reference_state.unavailable_launches),
        "launches_after": reference_state.launches_after,
    }
    resources = state.setdefault("resources", {})
    for table, keys in reference_state.requested.items():
        resources.setdefault(table, {})["loaded"] = sorted(keys)
    if reference_state.service_info_digest:
        resources.setdefault("service_info", {})["digest"] = entities.pop("service")
    if reference_state.audit_log_cursor != AuditLogCursor():
        resources.setdefault("audit_logs", {})["cursor"] = entities.pop("audit")


def _dump(timestamp: datetime | None) -> str | None:
    return timestamp.astimezone(UTC).isoformat() if timestamp else None
