"""The beginning of a sync: every workspace is listed, and it is decided what to do in each."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError, ForbiddenError
from tower_etl.extract.discovery import Workspace
from tower_etl.extract.listing import RunListing
from tower_etl.extract.result import WorkspaceResult
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
        Callable,
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
    "The target holds the personal workspace of another user, so that of this token does not go "
    "there,"
)
_APART = "Sync it into a target of its own: --workspace personal with another --path."


def exclude_other_users_workspace(
    discovery: Discovery, selectors: Collection[str], sync_result: SyncResult
) -> Discovery:
    """Return the reach without the personal workspace: the target holds that of another user.

    Where a selector names it, it is reported as failed; else it is a warning.

    Raises:
        ConfigurationError: Nothing else is selected.
    """
    if PERSONAL not in sync_result.workspaces:
        return discovery
    others = tuple(space for space in discovery.workspaces if space.id is not None)
    if not others:
        msg = f"{_OTHER_USER} and no other workspace is selected. {_APART}"
        raise ConfigurationError(msg)
    del sync_result.workspaces[PERSONAL]
    if selectors:
        sync_result.workspaces[PERSONAL] = WorkspaceResult(
            None,
            PERSONAL,
            error=f"{PERSONAL}: {_OTHER_USER} and was left out. {_APART}",
            error_exit_code=ForbiddenError.exit_code,
            aborted=True,
        )
    else:
        sync_result.warnings.append(f"{_OTHER_USER} and was left out. {_APART}")
    return replace(discovery, workspaces=others)


def load_states(
    state: Mapping[str, Any], discovery: Discovery, now: datetime
) -> dict[str, WorkspaceState]:
    """Return the state of each selected workspace, and of each that is no longer visible.

    Args:
        state: State of the source, as `save_states` wrote it.
        discovery: What the token sees, and what is selected of it.
        now: Start of the sync (UTC).
    """
    stored = state.get("workspaces", {})
    visible = {
        space.key: replace(_load_state(state, space.key), invisible_since=None)
        for space in discovery.workspaces
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
        table: load_coverage(held)
        for table in RUN_TABLES
        if (held := resources.get(table, {}).get("workspaces", {}).get(key))
    }
    return replace(known, tables={**known.tables, **tables})


def save_states(state: MutableMapping[str, Any], known: Mapping[str, WorkspaceState]) -> None:
    """Write states into the state of the source.

    What a table holds goes into the state of its resource, which dlt resets with the table: a table
    that is dropped, refreshed or replaced holds nothing from then on.
    """
    spaces = state.setdefault("workspaces", {})
    resources = state.setdefault("resources", {})
    for key, workspace in known.items():
        spaces[key] = dump_state(workspace)
        for table, holding in workspace.tables.items():
            held = resources.setdefault(table, {}).setdefault("workspaces", {})
            held[key] = dump_coverage(holding)


def report_unmatched(unmatched: Mapping[str, str]) -> dict[str, WorkspaceResult]:
    """Return a failed outcome for each selector that names no workspace, given the messages."""
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
        selectors: The workspaces that are in scope, none for all.
        sync_result: Told of those that are not visible.
        left_out: Elements of the list of workspaces that may stand for one of them.
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
        space = Workspace(space_id, state.name or key, {})
        if selectors and not any(space.is_selected_by(selector) for selector in selectors):
            continue
        message = (
            f"{space.name}: this workspace was synced before, but the token has not seen it since "
            f"{state.invisible_since:%Y-%m-%d %H:%M} UTC: {cause}. Its rows are kept. "
            "Ask its owner for access, or select the other workspaces with --workspace."
        )
        sync_result.workspaces[key] = WorkspaceResult(
            space_id,
            space.name,
            error=message,
            error_exit_code=ForbiddenError.exit_code,
            aborted=True,
        )


@dataclass(frozen=True)
class Opening:
    """Lists and plans.

    Attributes:
        fetcher: Lists workspaces side by side.
        planner: Turns a listing into a plan.
        sync_result: Is told what was listed.
        note_failure: Is told of a complete listing that failed.
        give_up: Is told of a workspace that could not be listed at all.
    """

    executor: FetchExecutor
    planner: Planner
    result: SyncResult
    note_failure: Callable[[Workspace, Failure], object]
    give_up: Callable[[Workspace, Failure], None]

    def plan_all(
        self, spaces: Iterable[Workspace], states: Mapping[str, WorkspaceState]
    ) -> list[WorkspaceSync]:
        """What is to be done in each workspace that could be listed."""
        listed: set[str] = set()
        works = list(self._iter_works(spaces, states, listed))
        for work in works:
            self._verify_deleted(work, listed)
        return works

    def _iter_works(
        self, spaces: Iterable[Workspace], states: Mapping[str, WorkspaceState], listed: set[str]
    ) -> Iterator[WorkspaceSync]:
        request, now = self.planner.options, self.planner.now
        asked = [(space, plan_listing(states[space.key], request, now)) for space in spaces]
        for space, listing in self._list_all(asked, states):
            state = replace(states[space.key], name=space.name)
            work = self.planner.plan(space, state, listing)
            listed.update(run.run_id for run in listing.runs)
            sync_result = self.result.workspaces[space.key]
            sync_result.listed, sync_result.planned = len(listing.runs), len(work.plan.fetches)
            self.result.reconciled |= listing.window.is_full
            _logger.info(
                "%s: %d runs listed since %s, %d to fetch",
                space.name,
                sync_result.listed,
                listing.window.after or "the first",
                sync_result.planned,
            )
            yield work

    def _list_all(
        self, asked: Sequence[tuple[Workspace, ListingWindow]], states: Mapping[str, WorkspaceState]
    ) -> Iterator[tuple[Workspace, RunListing]]:
        """Yield a listing per workspace; where a complete one fails, that since the cursor."""
        windows = {space.key: window for space, window in asked}
        again: list[tuple[Workspace, ListingWindow]] = []
        for space, listing in self.executor.list_runs(asked):
            state = states[space.key]
            if isinstance(listing, RunListing):
                yield space, listing
            elif windows[space.key].is_full and state.cursor is not None:
                self.note_failure(space, listing)
                start = state.listing_start(self.planner.now)
                again.append((space, replace(windows[space.key], after=start, is_full=False)))
            else:
                self.give_up(space, listing)
        for space, listing in self.executor.list_runs(again):
            if isinstance(listing, RunListing):
                yield space, listing
            else:
                self.give_up(space, listing)

    def _verify_deleted(self, work: WorkspaceSync, listed: set[str]) -> None:
        """Runs that moved to another workspace are not missing, nor are those that answer."""
        missing = [run_id for run_id in work.plan.deleted if run_id not in listed]
        here = self.result.workspaces[work.workspace.key].listed
        if len(missing) > here and self.executor.run_exists(work.workspace, missing[-1]):
            missing = []
            self.result.warnings.append(
                f"{work.workspace.name}: the listing lacks runs that are there; none was "
                "marked as missing."
            )
            work.plan = replace(work.plan, vanished=())
        work.plan = replace(work.plan, deleted=tuple(missing))
