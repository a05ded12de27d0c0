"""What a sync remembers of slow entities: what is owed, refused, named and not found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
        loaded: Tables that were asked for everywhere, once at least.
        refused: Places that refused, by table; told once, asked again at each reconciliation.
        unknown: Pipelines that runs name and no list shows.
        service: Digest of what the server last said of itself.
        audit: How far the audit log was read.
        launches: Launches of open runs that could not be had; reconciliation requests them again.
        launches_after: The launch at which the last reconciliation stopped, None for none.
    """

    owed: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()
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

    def miss(self, pipelines: Iterable[int]) -> EntityState:
        """After pipelines were asked for in vain; of many, some are kept."""
        kept = sorted(self.unknown | frozenset(pipelines))[-_UNKNOWN_KEPT:]
        return replace(self, unknown=frozenset(kept))


def dump_entities(state: EntityState) -> dict[str, Any]:
    """The state as plain JSON."""
    audit = {name: _dump(getattr(state.audit, name)) for name in ("since", "until", "reached")}
    return {
        "owed": sorted(state.owed),
        "loaded": sorted(state.loaded),
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
    audit = {name: _load(text) for name, text in stored.get("audit", {}).items()}
    return EntityState(
        owed=frozenset(owed if isinstance(owed, list) else ()),
        loaded=frozenset(() if owed is True else stored.get("loaded", ())),
        refused=refused,
        unknown=frozenset(stored.get("unknown", ())),
        service=stored.get("service"),
        audit=AuditCursor(**audit),
        launches=frozenset(stored.get("launches", ())),
        launches_after=stored.get("launches_after"),
    )


def _dump(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _load(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
