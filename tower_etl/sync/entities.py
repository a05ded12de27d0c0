"""What a sync remembers of slow entities: what is owed, refused, named and not found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

_UNKNOWN_KEPT = 1000


@dataclass(frozen=True)
class AuditCursor:
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
class EntityState:
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

    owed: frozenset[str] = frozenset()
    loaded: Mapping[str, frozenset[str]] = field(default_factory=dict)
    refused: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unknown: frozenset[int] = frozenset()
    service: str | None = None
    audit: AuditCursor = field(default_factory=AuditCursor)
    launches: frozenset[str] = frozenset()
    launches_after: str | None = None

    def refuse(self, table: str, places: Iterable[str], answered: Iterable[str]) -> EntityState:
        """After places refused a table, or answered (again)."""
        left = self.refused.get(table, frozenset()) - frozenset(answered) | frozenset(places)
        rest = {name: kept for name, kept in self.refused.items() if name != table}
        return replace(self, refused=rest | ({table: left} if left else {}))

    def list_unloaded(self, tables: Iterable[str], keys: Iterable[str]) -> frozenset[str]:
        """Return the tables that were not requested for one of some workspaces."""
        spaces = frozenset(keys)
        return frozenset(t for t in tables if spaces - self.loaded.get(t, frozenset()))

    def load(self, tables: Iterable[str], keys: Iterable[str]) -> EntityState:
        """Return the state after tables were requested for some workspaces."""
        added = {table: self.loaded.get(table, frozenset()).union(keys) for table in tables}
        return replace(self, loaded={**self.loaded, **added})

    def unload(self, tables: Iterable[str], keys: Iterable[str]) -> EntityState:
        """Return the state after tables missed something of some workspaces."""
        left = {table: self.loaded.get(table, frozenset()).difference(keys) for table in tables}
        return replace(self, loaded={**self.loaded, **left})

    def miss(self, pipelines: Iterable[int]) -> EntityState:
        """After pipelines were asked for in vain; of many, some are kept."""
        kept = sorted(self.unknown | frozenset(pipelines))[-_UNKNOWN_KEPT:]
        return replace(self, unknown=frozenset(kept))


def read_entities(state: Mapping[str, Any]) -> EntityState:
    """Return what is known of reference data, from the state of the source.

    What a table holds is in the state of its resource, which dlt resets with the table. Version 1
    had it among the rest, and loaded the versions of a table with the table.
    """
    resources, stored = state.get("resources", {}), state.get("entities") or {}
    known = load_entities(stored)
    older = () if stored.get("owed") is True else stored.get("loaded", ())
    keys = frozenset(state.get("workspaces", {}))
    loaded = {name: keys for table in older for name in (table, f"{table}_history")}
    loaded |= {
        name: frozenset(held["loaded"]) for name, held in resources.items() if "loaded" in held
    }
    audit = resources.get("audit_logs", {}).get("cursor")
    return replace(
        known,
        loaded=loaded,
        service=resources.get("service_info", {}).get("digest") or known.service,
        audit=_load_audit(audit) if audit else known.audit,
    )


def write_entities(state: MutableMapping[str, Any], known: EntityState) -> None:
    """Write what is known of reference data into the state of the source."""
    resources = state.setdefault("resources", {})
    dumped = dump_entities(known)
    for table, keys in known.loaded.items():
        resources.setdefault(table, {})["loaded"] = sorted(keys)
    if known.service:
        resources.setdefault("service_info", {})["digest"] = dumped.pop("service")
    if known.audit != AuditCursor():
        resources.setdefault("audit_logs", {})["cursor"] = dumped.pop("audit")
    state["entities"] = dumped


def dump_entities(state: EntityState) -> dict[str, Any]:
    """The state as plain JSON."""
    audit = {name: _dump(getattr(state.audit, name)) for name in ("since", "until", "reached")}
    return {
        "owed": sorted(state.owed),
        "refused": {table: sorted(places) for table, places in sorted(state.refused.items())},
        "unknown": sorted(state.unknown),
        "service": state.service,
        "audit": audit,
        "launches": sorted(state.launches),
        "launches_after": state.launches_after,
    }


def load_entities(stored: Mapping[str, Any] | None) -> EntityState:
    """The state that `dump_entities` wrote; an empty one for None."""
    if not stored:
        return EntityState()
    refused = {table: frozenset(places) for table, places in stored.get("refused", {}).items()}
    owed = stored.get("owed")  # an older version said no more than whether anything is
    return EntityState(
        owed=frozenset(owed if isinstance(owed, list) else ()),
        refused=refused,
        unknown=frozenset(stored.get("unknown", ())),
        service=stored.get("service"),
        audit=_load_audit(stored.get("audit", {})),
        launches=frozenset(stored.get("launches", ())),
        launches_after=stored.get("launches_after"),
    )


def _load_audit(stored: Mapping[str, str | None]) -> AuditCursor:
    return AuditCursor(**{name: _load(text) for name, text in stored.items()})


def _dump(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _load(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
