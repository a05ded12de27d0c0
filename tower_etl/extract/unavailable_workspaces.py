"""Workspaces that cannot be synced: without a match, no longer visible, or of another user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.extract.discovery import Workspace
from tower_etl.extract.result import WorkspaceResult
from tower_etl.sync import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.result import SyncResult
    from tower_etl.sync import WorkspaceState

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


def build_unmatched_results(unmatched: Mapping[str, str]) -> dict[str, WorkspaceResult]:
    """Return a failed result for each selector without a matching workspace, given the messages."""
    return {
        f"selector {selector}": WorkspaceResult.refused(
            int(selector) if selector.isdecimal() else None, selector, message
        )
        for selector, message in unmatched.items()
    }


def add_invisible_results(
    states: Mapping[str, WorkspaceState],
    selectors: Collection[str],
    sync_result: SyncResult,
    left_out: int,
) -> None:
    """Add a failed result for each workspace in scope that was synced and is no longer visible.

    Args:
        states: State of each workspace.
        selectors: Selectors of the workspaces in scope; empty for all.
        sync_result: Result of the sync, to which the results are added.
        left_out: Number of elements of the list of workspaces that have no usable id, and may
            stand for one of these workspaces.
    """
    cause = "it was deleted, or the user has left it"
    if left_out:
        cause = (
            f"it may be one of the {left_out} element(s) without a usable id in the list of "
            f"workspaces, or {cause}"
        )
    for key, state in states.items():
        if state.invisible_since is None:
            continue
        workspace_id = None if key == PERSONAL else int(key)
        workspace = Workspace(workspace_id, state.name or key, {})
        if selectors and not any(workspace.is_selected_by(selector) for selector in selectors):
            continue
        message = (
            f"{workspace.name}: this workspace was synced before, but the token has not seen it "
            f"since {state.invisible_since:%Y-%m-%d %H:%M} UTC: {cause}. Its rows are kept. "
            "Ask its owner for access, or select the other workspaces with --workspace."
        )
        sync_result.workspaces[key] = WorkspaceResult.refused(workspace_id, workspace.name, message)
