"""Start of a sync: loads the states, lists each workspace and plans its sync."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError, ForbiddenError
from tower_etl.extract.discovery import Workspace, access_error_message
from tower_etl.extract.listing import RunListing
from tower_etl.extract.result import WorkspaceResult
from tower_etl.http import RateLimiterClosedError
from tower_etl.sync import (
    PERSONAL,
    RUN_TABLES,
    dump_coverage,
    dump_state,
    load_coverage,
    load_state,
    plan_listing,
)

if TYPE_CHECKING:
    from collections.abc import (
        Collection,
        Iterable,
        Iterator,
        Mapping,
        MutableMapping,
        Sequence,
    )
    from datetime import datetime

    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.executor import FetchExecutor
    from tower_etl.extract.failures import Failure
    from tower_etl.extract.planning import Planner, WorkspaceSync
    from tower_etl.extract.result import SyncResult
    from tower_etl.sync import ListingWindow, WorkspaceState

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
        sync_result.workspaces[PERSONAL] = WorkspaceResult(
            None,
            PERSONAL,
            error=f"{PERSONAL}: {_OTHER_USER}. {_APART}",
            error_exit_code=ForbiddenError.exit_code,
            aborted=True,
        )
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
        f"selector {selector}": WorkspaceResult(
            int(selector) if selector.isdecimal() else None,
            selector,
            error=message,
            error_exit_code=ForbiddenError.exit_code,
            aborted=True,
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
        sync_result.workspaces[key] = WorkspaceResult(
            space_id,
            workspace.name,
            error=message,
            error_exit_code=ForbiddenError.exit_code,
            aborted=True,
        )


@dataclass(frozen=True)
class FailureRecorder:
    """Recorder of failures in the result of a sync.

    Attributes:
        executor: Executor whose requests for an aborted workspace are cancelled.
        result: Result of the sync.
    """

    executor: FetchExecutor
    result: SyncResult

    def record(self, workspace: Workspace, failure: Failure) -> str | None:
        """Record a failure and return its message, or None if the sync was stopped."""
        if isinstance(failure, RateLimiterClosedError):
            self.result.stopped = True
            return None
        message = access_error_message(workspace, failure)
        self.result.record_failure(workspace.key, message, failure)
        return message

    def abort(self, workspace: Workspace, failure: Failure) -> None:
        """Record a failure and stop fetching from the workspace, which cannot be listed."""
        if self.record(workspace, failure) is not None:
            self.result.workspaces[workspace.key].aborted = True
            self.executor.cancel_workspace(workspace)


@dataclass(frozen=True)
class Opening:
    """Listing and planning of all workspaces.

    Attributes:
        executor: Executor that lists workspaces concurrently.
        planner: Planner of each workspace.
        failures: Recorder of listings that failed, with the result that receives the counts.
    """

    executor: FetchExecutor
    planner: Planner
    failures: FailureRecorder

    @property
    def result(self) -> SyncResult:
        """Result of the sync."""
        return self.failures.result

    def plan_all(
        self, workspaces: Iterable[Workspace], states: Mapping[str, WorkspaceState]
    ) -> list[WorkspaceSync]:
        """Return the planned sync of each workspace that could be listed."""
        listed: set[str] = set()
        workspace_syncs = list(self._iter_workspace_syncs(workspaces, states, listed))
        for workspace_sync in workspace_syncs:
            self._verify_deleted(workspace_sync, listed)
        return workspace_syncs

    def _iter_workspace_syncs(
        self,
        workspaces: Iterable[Workspace],
        states: Mapping[str, WorkspaceState],
        listed: set[str],
    ) -> Iterator[WorkspaceSync]:
        options, now = self.planner.options, self.planner.now
        requests = [
            (workspace, plan_listing(states[workspace.key], options, now))
            for workspace in workspaces
        ]
        for workspace, listing in self._list_all(requests, states):
            state = replace(states[workspace.key], name=workspace.name)
            workspace_sync = self.planner.plan(workspace, state, listing)
            listed.update(run.run_id for run in listing.runs)
            result = self.result.workspaces[workspace.key]
            result.listed, result.planned = len(listing.runs), len(workspace_sync.plan.fetches)
            self.result.reconciled |= listing.window.is_full
            _logger.info(
                "%s: %d runs listed since %s, %d to fetch",
                workspace.name,
                result.listed,
                listing.window.after or "the first",
                result.planned,
            )
            yield workspace_sync

    def _list_all(
        self,
        requests: Sequence[tuple[Workspace, ListingWindow]],
        states: Mapping[str, WorkspaceState],
    ) -> Iterator[tuple[Workspace, RunListing]]:
        """Yield a listing per workspace; if a full listing fails, the one since the cursor."""
        windows = {workspace.key: window for workspace, window in requests}
        retries: list[tuple[Workspace, ListingWindow]] = []
        for workspace, listing in self.executor.iter_listings(requests):
            state = states[workspace.key]
            if isinstance(listing, RunListing):
                yield workspace, listing
            elif windows[workspace.key].is_full and state.cursor is not None:
                self.failures.record(workspace, listing)
                start = state.listing_start(self.planner.now)
                retries.append(
                    (workspace, replace(windows[workspace.key], after=start, is_full=False))
                )
            else:
                self.failures.abort(workspace, listing)
        for workspace, listing in self.executor.iter_listings(retries):
            if isinstance(listing, RunListing):
                yield workspace, listing
            else:
                self.failures.abort(workspace, listing)

    def _verify_deleted(self, workspace_sync: WorkspaceSync, listed: set[str]) -> None:
        """Do not mark runs as missing that moved to another workspace, or still exist."""
        missing = [run_id for run_id in workspace_sync.plan.deleted if run_id not in listed]
        here = self.result.workspaces[workspace_sync.workspace.key].listed
        # More missing than listed runs suggest a faulty listing: probe the last one.
        if len(missing) > here and self.executor.run_exists(workspace_sync.workspace, missing[-1]):
            missing = []
            self.result.warnings.append(
                f"{workspace_sync.workspace.name}: the listing omits runs that still exist. No run "
                "was marked as missing."
            )
            workspace_sync.plan = replace(workspace_sync.plan, vanished=())
        workspace_sync.plan = replace(workspace_sync.plan, deleted=tuple(missing))
