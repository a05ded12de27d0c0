"""Start of a sync: loads the states, lists each workspace and plans its sync."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError
from tower_etl.extract.discovery import Workspace
from tower_etl.extract.result import WorkspaceResult
from tower_etl.sync import (
    PERSONAL,
    RUN_TABLES,
    dump_coverage,
    dump_state,
    load_coverage,
    load_state,
)

if TYPE_CHECKING:
    from collections.abc import (
        Collection,
        Mapping,
        MutableMapping,
    )
    from datetime import datetime

    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.result import SyncResult
    from tower_etl.sync import WorkspaceState

_logger = logging.getLogger(__name__)

_OTHER_USER = (
    "The destination contains the personal workspace of another user; that of this token "
    "was not synced"
)
_APART = "Sync it into a separate destination: --workspace personal with another --path."


def exclude_other_users_workspace(
    discovery: Discovery, selectors: Collection[str], sync_result: SyncResult
) -> Discovery:
    """Return the discovery without the personal workspace, as another user's is stored already.

    If a selector names it, it is reported as failed, otherwise as a warning.

    Raises:
        ConfigurationError: No other workspace is selected.
    """
    if PERSONAL not in sync_result.workspaces:
        return discovery
    others = tuple(workspace for workspace in discovery.workspaces if workspace.id is not None)
    if not others:
        msg = f"{_OTHER_USER}, and no other workspace is selected. {_APART}"
        raise ConfigurationError(msg)
    del sync_result.workspaces[PERSONAL]
    if selectors:
        message = f"{PERSONAL}: {_OTHER_USER}. {_APART}"
        sync_result.workspaces[PERSONAL] = WorkspaceResult.refused(None, PERSONAL, message)
    else:
        sync_result.warnings.append(f"{_OTHER_USER}. {_APART}")
    return replace(discovery, workspaces=others)


def load_states(
    state: Mapping[str, Any], discovery: Discovery, now: datetime
) -> dict[str, WorkspaceState]:
    """Return the states of all selected workspaces and of workspaces no longer visible.

    Args:
        state: State of the source, as written by `save_states`.
        discovery: Visible and selected workspaces.
        now: Start of the sync (UTC).
    """
    stored = state.get("workspaces", {})
    visible = {
        workspace.key: replace(_load_state(state, workspace.key), invisible_since=None)
        for workspace in discovery.workspaces
    }
    lost = {key: _load_state(state, key) for key in stored if key not in discovery.visible}
    return visible | {
        key: replace(known, invisible_since=known.invisible_since or now)
        for key, known in lost.items()
    }


def _load_state(state: Mapping[str, Any], key: str) -> WorkspaceState:
    known = load_state(state.get("workspaces", {}).get(key))
    resources = state.get("resources", {})
    tables = {
        table: load_coverage(stored_coverage)
        for table in RUN_TABLES
        if (stored_coverage := resources.get(table, {}).get("workspaces", {}).get(key))
    }
    return replace(known, tables={**known.tables, **tables})


def save_states(state: MutableMapping[str, Any], known: Mapping[str, WorkspaceState]) -> None:
    """Write states into the state of the source.

    The coverage of a table is stored in the state of its resource, which dlt resets when the table
    is dropped, refreshed or replaced.
    """
    workspaces = state.setdefault("workspaces", {})
    resources = state.setdefault("resources", {})
    for key, workspace in known.items():
        workspaces[key] = dump_state(workspace)
        for table, coverage in workspace.tables.items():
            stored_coverage = resources.setdefault(table, {}).setdefault("workspaces", {})
            stored_coverage[key] = dump_coverage(coverage)


def report_unmatched(unmatched: Mapping[str, str]) -> dict[str, WorkspaceResult]:
    """Return a failed result for each selector without a matching workspace, given the messages."""
    return {
        f"selector {selector}": WorkspaceResult.refused(
            int(selector) if selector.isdecimal() else None, selector, message
        )
        for selector, message in unmatched.items()
    }


def report_invisible(
    states: Mapping[str, WorkspaceState],
    selectors: Collection[str],
    sync_result: SyncResult,
    left_out: int = 0,
) -> None:
    """Report as failed each workspace in scope that was synced before and is no longer visible.

    Args:
        states: State of each workspace.
        selectors: Selectors of the workspaces in scope; empty for all.
        sync_result: Result of the sync, which gets a failed result for each of these workspaces.
        left_out: Number of elements of the list of workspaces that have no usable id, and may
            stand for one of these workspaces.
    """
    cause = "it was deleted, or the user has left it"
    if left_out:
        cause = (
            f"it may be one of the {left_out} element(s) without a usable id in the list of "
            "workspaces, or it was deleted, or the user has left it"
        )
    for key, state in states.items():
        if state.invisible_since is None:
            continue
        space_id = None if key == PERSONAL else int(key)
        workspace = Workspace(space_id, state.name or key, {})
        if selectors and not any(workspace.is_selected_by(selector) for selector in selectors):
            continue
        message = (
            f"{workspace.name}: this workspace was synced before, but the token has not seen it "
            f"since {state.invisible_since:%Y-%m-%d %H:%M} UTC: {cause}. Its rows are kept. "
            "Ask its owner for access, or select the other workspaces with --workspace."
        )
        sync_result.workspaces[key] = WorkspaceResult.refused(space_id, workspace.name, message)
