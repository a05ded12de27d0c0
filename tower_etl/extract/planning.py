"""Start of the sync of each workspace: it is listed, planned and compared with the destination."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from tower_etl.extract.listing import RunListing
from tower_etl.extract.result import WorkspaceSync
from tower_etl.schema import TABLES, label_link_tombstones, label_links
from tower_etl.sync import plan_incremental, plan_listing, plan_reconciliation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tower_etl.config.settings import SyncOptions
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.discovery import Workspace
    from tower_etl.extract.executor import FetchExecutor
    from tower_etl.extract.result import SyncResult
    from tower_etl.sync import ListingWindow, WorkspacePlan, WorkspaceState

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planner:
    """Planner of the sync of each workspace.

    Attributes:
        executor: Executor that lists workspaces concurrently.
        options: Options of the sync.
        destination_state: State of the destination.
        result: Result of the sync, which receives counts, warnings and failures.
        started_at: Start of the sync (UTC).
    """

    executor: FetchExecutor
    options: SyncOptions
    destination_state: DestinationState
    result: SyncResult
    started_at: datetime

    def plan_all(
        self, workspaces: Iterable[Workspace], states: Mapping[str, WorkspaceState]
    ) -> list[WorkspaceSync]:
        """Return the planned sync of each workspace that could be listed."""
        requests = [
            (workspace, plan_listing(states[workspace.key], self.options, self.started_at))
            for workspace in workspaces
        ]
        listed: set[str] = set()
        workspace_syncs = []
        for workspace, listing in self._iter_listings(requests, states):
            listed.update(run.run_id for run in listing.runs)
            workspace_syncs.append(self._begin(workspace, states[workspace.key], listing))
        for workspace_sync in workspace_syncs:
            self._verify_deleted(workspace_sync, listed)
        return workspace_syncs

    def _iter_listings(
        self,
        requests: Sequence[tuple[Workspace, ListingWindow]],
        states: Mapping[str, WorkspaceState],
    ) -> Iterator[tuple[Workspace, RunListing]]:
        """Yield a listing per workspace; if a full listing fails, the one since the cursor."""
        retries: list[tuple[Workspace, ListingWindow]] = []
        listings = self.executor.iter_listings(requests)
        for (workspace, window), listing in zip(requests, listings, strict=True):
            state = states[workspace.key]
            if isinstance(listing, RunListing):
                yield workspace, listing
            elif window.is_full and state.cursor is not None:
                self.result.record_failure(workspace, listing)
                start = state.listing_start(self.started_at)
                retries.append((workspace, replace(window, after=start, is_full=False)))
            else:
                self.result.abort(workspace, listing)
        if retries:
            yield from self._iter_listings(retries, states)

    def _begin(
        self, workspace: Workspace, state: WorkspaceState, listing: RunListing
    ) -> WorkspaceSync:
        """Plan the sync of a workspace, and record the counts in its result."""
        plan = self.plan(workspace, replace(state, name=workspace.name), listing)
        result = self.result.workspaces[workspace.key]
        result.listed, result.planned = len(listing.runs), len(plan.fetches)
        self.result.reconciled |= listing.window.is_full
        _logger.info(
            "%s: %d runs listed since %s, %d to fetch",
            workspace.name,
            result.listed,
            listing.window.after or "the first",
            result.planned,
        )
        return WorkspaceSync(workspace, plan, plan.initial_state, result)

    def plan(
        self, workspace: Workspace, state: WorkspaceState, listing: RunListing
    ) -> WorkspacePlan:
        """Return the plan of a workspace based on its listing."""
        if not listing.window.is_full:
            return plan_incremental(state, listing.runs, self.options, self.started_at)
        stored = self.destination_state.runs(workspace.id)
        plan = plan_reconciliation(state, listing.runs, stored, self.options, self.started_at)
        return self._drop_unreliable_deletions(plan, workspace, listing)

    def _drop_unreliable_deletions(
        self, plan: WorkspacePlan, workspace: Workspace, listing: RunListing
    ) -> WorkspacePlan:
        """Drop the deletions of an incomplete listing; repeat one that changed at the next sync."""
        if listing.complete:
            return plan
        if not listing.is_unmodified:
            self.result.warnings.append(
                f"{workspace.name}: the list of runs changed while it was read. "
                "The next sync reconciles again."
            )
            return replace(plan, deleted=(), other_deleted=(), is_full=False)
        if not listing.count_matches:
            self.result.warnings.append(
                f"{workspace.name}: the server's run count does not match its listing. "
                "No run was marked as missing."
            )
        return replace(plan, deleted=(), other_deleted=())

    def _verify_deleted(self, workspace_sync: WorkspaceSync, listed: set[str]) -> None:
        """Do not mark runs as missing that moved to another workspace, or still exist."""
        plan, workspace = workspace_sync.plan, workspace_sync.workspace
        deleted = [run_id for run_id in plan.deleted if run_id not in listed]
        # More deleted than listed runs suggest a faulty listing: request the last one.
        is_suspect = len(deleted) > workspace_sync.result.listed
        if is_suspect and self.executor.run_exists(workspace, deleted[-1]):
            self.result.warnings.append(
                f"{workspace.name}: the listing omits runs that still exist. No run was marked as "
                "missing."
            )
            workspace_sync.plan = replace(plan, deleted=(), other_deleted=())
        else:
            workspace_sync.plan = replace(plan, deleted=tuple(deleted))

    def build_in_place_updates(self, workspace_sync: WorkspaceSync) -> dict[str, pa.Table]:
        """Build rows that change without a refetch: `starred`, `missing_since`, label links."""
        plan, workspace_id = workspace_sync.plan, workspace_sync.workspace.id
        stars = self._set_column("starred", plan.star_updates)
        deleted = self._set_column("missing_since", dict.fromkeys(plan.deleted, self.started_at))
        links = [
            label_links(labels, workflow_id=run_id, workspace_id=workspace_id)
            for run_id, labels in plan.label_updates.items()
        ]
        unlabelled = [run_id for run_id, labels in plan.label_updates.items() if not labels]
        tombstones = label_link_tombstones(unlabelled, workspace_id=workspace_id)
        labels_in_use = [*chain.from_iterable(plan.label_updates.values())]
        return {
            "workflows": pa.concat_tables([stars, deleted]),
            "workflow_labels": pa.concat_tables([*links, tombstones]),
            "labels": TABLES["labels"].build(labels_in_use, workspace_id=workspace_id),
        }

    def _set_column(self, name: str, values: Mapping[str, object]) -> pa.Table:
        """Return stored rows of runs with new values in one column, given by run id."""
        rows = self.destination_state.run_rows(values)
        index = rows.schema.get_field_index(name)
        field = rows.schema.field(index)
        column = pa.array([values[run_id] for run_id in rows["id"].to_pylist()], field.type)
        return rows.set_column(index, field, column)
