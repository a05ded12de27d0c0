"""What a sync remembers of slow entities: what is owed, refused, named and not found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

_MAX_UNRESOLVED = 1000


@dataclass(frozen=True)
class AuditLogCursor:
    """How far the audit log was read; it is walked from its newest entry down.

    Attributes:
        since: Every entry up to this moment (UTC) is in, None for none.
        until: Where the walk under way began, None where none is.
        reached: The oldest entry that this walk has come to.
    """

    since: datetime | None = None
    until: datetime | None = None
    reached: datetime | None = None


@dataclass(frozen=True)
class ReferenceState:
    """What is known of slow entities.

    Attributes:
        owed: Tables that could not be read everywhere, and are asked for by the next sync.
        loaded: Keys of the workspaces for which a table was requested, by table.
        refused: Places that refused, by table; told once, asked again at each reconciliation.
        unknown: Pipelines that runs name and no list shows.
        service: Digest of what the server last said of itself.
        audit: How far the audit log was read.
        launches: Launches of open runs that could not be had; reconciliation requests them again.
        launches_after: The launch at which the last reconciliation stopped, None for none.
    """

    pending: frozenset[str] = frozenset()
    initialised: Mapping[str, frozenset[str]] = field(default_factory=dict)
    denied: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unresolved: frozenset[int] = frozenset()
    service: str | None = None
    audit: AuditLogCursor = field(default_factory=AuditLogCursor)
    launches: frozenset[str] = frozenset()
    launches_after: str | None = None

    def record_access(
        self, table: str, places: Iterable[str], answered: Iterable[str]
    ) -> ReferenceState:
        """After places refused a table, or answered (again)."""
        left = self.denied.get(table, frozenset()) - frozenset(answered) | frozenset(places)
        rest = {name: kept for name, kept in self.denied.items() if name != table}
        return replace(self, denied=rest | ({table: left} if left else {}))

    def list_unloaded(self, tables: Iterable[str], keys: Iterable[str]) -> frozenset[str]:
        """Return the tables that were not requested for one of some workspaces."""
        spaces = frozenset(keys)
        return frozenset(t for t in tables if spaces - self.initialised.get(t, frozenset()))

    def load(self, tables: Iterable[str], keys: Iterable[str]) -> ReferenceState:
        """Return the state after tables were requested for some workspaces."""
        added = {table: self.initialised.get(table, frozenset()).union(keys) for table in tables}
        return replace(self, initialised={**self.initialised, **added})

    def unload(self, tables: Iterable[str], keys: Iterable[str]) -> ReferenceState:
        """Return the state after tables missed something of some workspaces."""
        left = {
            table: self.initialised.get(table, frozenset()).difference(keys) for table in tables
        }
        return replace(self, initialised={**self.initialised, **left})

    def record_unresolved(self, pipelines: Iterable[int]) -> ReferenceState:
        """After pipelines were asked for in vain; of many, some are kept."""
        kept = sorted(self.unresolved | frozenset(pipelines))[-_MAX_UNRESOLVED:]
        return replace(self, unresolved=frozenset(kept))


def read_reference_state(state: Mapping[str, Any]) -> ReferenceState:
    """Return what is known of reference data, from the state of the source.

    What a table holds is in the state of its resource, which dlt resets with the table. Version 1
    had it among the rest, and loaded the versions of a table with the table.
    """
    resources, stored = state.get("resources", {}), state.get("entities") or {}
    known = load_reference_state(stored)
    older = () if stored.get("owed") is True else stored.get("loaded", ())
    keys = frozenset(state.get("workspaces", {}))
    loaded = {name: keys for table in older for name in (table, f"{table}_history")}
    loaded |= {
        name: frozenset(held["loaded"]) for name, held in resources.items() if "loaded" in held
    }
    audit = resources.get("audit_logs", {}).get("cursor")
    return replace(
        known,
        initialised=loaded,
        service=resources.get("service_info", {}).get("digest") or known.service,
        audit=_load_audit(audit) if audit else known.audit,
    )


def write_reference_state(state: MutableMapping[str, Any], known: ReferenceState) -> None:
    """Write what is known of reference data into the state of the source."""
    resources = state.setdefault("resources", {})
    dumped = dump_reference_state(known)
    for table, keys in known.initialised.items():
        resources.setdefault(table, {})["loaded"] = sorted(keys)
    if known.service:
        resources.setdefault("service_info", {})["digest"] = dumped.pop("service")
    if known.audit != AuditLogCursor():
        resources.setdefault("audit_logs", {})["cursor"] = dumped.pop("audit")
    state["entities"] = dumped


def dump_reference_state(state: ReferenceState) -> dict[str, Any]:
    """The state as plain JSON."""
    audit = {name: _dump(getattr(state.audit, name)) for name in ("since", "until", "reached")}
    return {
        "owed": sorted(state.pending),
        "refused": {table: sorted(places) for table, places in sorted(state.denied.items())},
        "unknown": sorted(state.unresolved),
        "service": state.service,
        "audit": audit,
        "launches": sorted(state.launches),
        "launches_after": state.launches_after,
    }


def load_reference_state(stored: Mapping[str, Any] | None) -> ReferenceState:
    """The state that `dump_reference_state` wrote; an empty one for None."""
    if not stored:
        return ReferenceState()
    refused = {table: frozenset(places) for table, places in stored.get("refused", {}).items()}
    owed = stored.get("owed")  # an older version said no more than whether anything is
    return ReferenceState(
        pending=frozenset(owed if isinstance(owed, list) else ()),
        denied=refused,
        unresolved=frozenset(stored.get("unknown", ())),
        service=stored.get("service"),
        audit=_load_audit(stored.get("audit", {})),
        launches=frozenset(stored.get("launches", ())),
        launches_after=stored.get("launches_after"),
    )


def _load_audit(stored: Mapping[str, str | None]) -> AuditLogCursor:
    return AuditLogCursor(**{name: _load(text) for name, text in stored.items()})


def _dump(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _load(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
