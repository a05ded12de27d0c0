"""State of the source between syncs: its identity, undocumented fields, and workspaces."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow.compute as pc

from tower_etl.config.settings import is_loopback
from tower_etl.errors import ConfigurationError
from tower_etl.lossless import load_json
from tower_etl.sync import (
    RUN_TABLES,
    dump_coverage,
    dump_state,
    load_coverage,
    load_state,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.extract.discovery import Discovery
    from tower_etl.sync import WorkspaceState

_HOST_ALIASES = {
    "api.tower.nf": "api.cloud.seqera.io",
    "tower.nf": "api.cloud.seqera.io",
}  # API fact 12
_MAX_FIELDS = 200  # names per table, for servers with generated field names


@dataclass(frozen=True)
class SourceIdentity:
    """Server and user that a sync reads from.

    Attributes:
        host: Host of the server, None on loopback, where a tunnel may lead to any server.
        user_id: Id of the token's user.
    """

    host: str | None
    user_id: int | None

    @classmethod
    def of(cls, endpoint: str, user_id: int | None) -> SourceIdentity:
        """Return the identity of an endpoint and a user."""
        host = (urlsplit(endpoint).hostname or "").lower()
        return cls(None if is_loopback(host) else _HOST_ALIASES.get(host, host), user_id)


def verify_source_identity(
    stored: Mapping[str, Any] | None, current: SourceIdentity, *, moved: bool
) -> dict[str, Any]:
    """Return the identity to store, after checking that the destination belongs to this server.

    Runs of two servers must not be mixed: the sync of each would mark those of the other as
    missing.

    Raises:
        ConfigurationError: The destination contains the history of another server.
    """
    identity = SourceIdentity(**stored) if stored else current
    if not moved and identity.host and current.host and identity.host != current.host:
        msg = (
            f"The destination contains the history of {identity.host}, not of {current.host}. "
            "Choose another --path. If the server was renamed, set TOWER_ETL_SERVER_MOVED=1 once."
        )
        raise ConfigurationError(msg)
    return asdict(
        SourceIdentity(current.host or identity.host, identity.user_id or current.user_id)
    )


class SchemaDrift:
    """Undocumented fields of each table.

    Attributes:
        new_fields: Sorted names that this sync observed first, by table.
    """

    def __init__(self, stored: Mapping[str, list[str]]) -> None:
        """Create the record with the fields that earlier syncs observed."""
        self.new_fields: dict[str, list[str]] = {}
        self._field_names = {table: set(names) for table, names in stored.items()}

    def dump(self) -> dict[str, list[str]]:
        """Return all observed fields, for the state."""
        return {table: sorted(names) for table, names in sorted(self._field_names.items())}

    def observe(self, batch: Mapping[str, pa.Table]) -> None:
        """Record the fields in the column `undocumented` of a batch."""
        for table, rows in batch.items():
            names = self._field_names.get(table, set())
            new = sorted(_list_undocumented(rows) - names)[: max(0, _MAX_FIELDS - len(names))]
            if new:
                self._field_names[table] = names.union(new)
                self.new_fields[table] = sorted({*self.new_fields.get(table, ()), *new})


def _list_undocumented(rows: pa.Table) -> set[str]:
    if "undocumented" not in rows.schema.names:
        return set()
    extras = map(load_json, pc.drop_null(rows["undocumented"]).to_pylist())
    return {name for fields in extras for name in fields}


def load_states(
    state: Mapping[str, Any], discovery: Discovery, started_at: datetime
) -> dict[str, WorkspaceState]:
    """Return the states of all selected workspaces and of workspaces no longer visible.

    Args:
        state: State of the source, as written by `save_states`.
        discovery: Visible and selected workspaces.
        started_at: Start of the sync (UTC).
    """
    stored = state.get("workspaces", {})
    visible = {
        workspace.key: replace(_load_state(state, workspace.key), invisible_since=None)
        for workspace in discovery.workspaces
    }
    lost = {key: _load_state(state, key) for key in stored if key not in discovery.visible}
    return visible | {
        key: replace(workspace_state, invisible_since=workspace_state.invisible_since or started_at)
        for key, workspace_state in lost.items()
    }


def _load_state(state: Mapping[str, Any], key: str) -> WorkspaceState:
    workspace_state = load_state(state.get("workspaces", {}).get(key))
    resources = state.get("resources", {})
    tables = {
        table: load_coverage(stored_coverage)
        for table in RUN_TABLES
        if (stored_coverage := resources.get(table, {}).get("workspaces", {}).get(key))
    }
    return replace(workspace_state, tables={**workspace_state.tables, **tables})


def save_states(state: MutableMapping[str, Any], states: Mapping[str, WorkspaceState]) -> None:
    """Write states into the state of the source.

    The coverage of a table is stored in the state of its resource, which dlt resets when the table
    is dropped, refreshed or replaced.
    """
    workspaces = state.setdefault("workspaces", {})
    resources = state.setdefault("resources", {})
    for key, workspace in states.items():
        workspaces[key] = dump_state(workspace)
        for table, coverage in workspace.tables.items():
            stored_coverage = resources.setdefault(table, {}).setdefault("workspaces", {})
            stored_coverage[key] = dump_coverage(coverage)
