"""Plan of a sync per workspace, based on its state, its listing and the destination."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from tower_etl.schema import TABLES, label_link_tombstones, label_links
from tower_etl.sync import plan_incremental, plan_reconciliation

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tower_etl.config.settings import SyncOptions
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.discovery import Workspace
    from tower_etl.extract.listing import RunListing
    from tower_etl.sync import RetryCause, WorkspacePlan, WorkspaceState


@dataclass
class WorkspaceSync:
    """Sync of one workspace, with its progress.

    Attributes:
        workspace: Workspace that is synced.
        plan: Fetches and updates of the sync.
        state: State of the workspace that is committed with the current package.
        recovered: Causes for which a retry succeeded in this sync.
    """

    workspace: Workspace
    plan: WorkspacePlan
    state: WorkspaceState
    recovered: set[RetryCause] = field(default_factory=set)


@dataclass(frozen=True)
class Planner:
    """Planner of the sync of each workspace.

    Attributes:
        options: Options of the sync.
        destination_state: State of the destination.
        now: Start of the sync (UTC).
        warn: Function that records a warning for the user.
    """

    options: SyncOptions
    destination_state: DestinationState
    now: datetime
    warn: Callable[[str], None]

    def plan(
        self, workspace: Workspace, state: WorkspaceState, listing: RunListing
    ) -> WorkspaceSync:
        """Return the plan of a workspace based on its listing."""
        if not listing.window.is_full:
            plan = plan_incremental(state, listing.runs, self.options, self.now)
        else:
            stored = self.destination_state.runs(workspace.id)
            plan = plan_reconciliation(state, listing.runs, stored, self.options, self.now)
            plan = self._distrust_deletions(plan, workspace, listing)
        return WorkspaceSync(workspace, plan, plan.initial_state)

    def _distrust_deletions(
        self, plan: WorkspacePlan, workspace: Workspace, listing: RunListing
    ) -> WorkspacePlan:
        """Drop the deletions of an incomplete listing; repeat one that changed at the next sync."""
        if listing.complete:
            return plan
        if not listing.is_unmodified:
            self.warn(
                f"{workspace.name}: the list of runs changed while it was read. "
                "The next sync reconciles again."
            )
            return replace(plan, deleted=(), vanished=(), is_full=False)
        if not listing.count_matches:
            self.warn(
                f"{workspace.name}: the server's run count does not match its listing. "
                "No run was marked as missing."
            )
        return replace(plan, deleted=(), vanished=())

    def build_in_place_updates(self, work: WorkspaceSync) -> dict[str, pa.Table]:
        """Build rows that change without a refetch: `starred`, `missing_since`, label links."""
        plan = work.plan
        stars = _set_column(
            self.destination_state.run_rows(plan.star_updates),
            "starred",
            [*plan.star_updates.items()],
        )
        deleted = _set_column(
            self.destination_state.run_rows(plan.deleted),
            "missing_since",
            [(run_id, self.now) for run_id in plan.deleted],
        )
        return {"workflows": pa.concat_tables([stars, deleted]), **self._relabel(work)}

    @staticmethod
    def _relabel(work: WorkspaceSync) -> dict[str, pa.Table]:
        workspace_id = work.workspace.id
        links = [
            label_links(labels, workflow_id=run_id, workspace_id=workspace_id)
            for run_id, labels in work.plan.label_updates.items()
        ]
        unlabelled = [run_id for run_id, labels in work.plan.label_updates.items() if not labels]
        labels_in_use = [label for labels in work.plan.label_updates.values() for label in labels]
        return {
            "workflow_labels": pa.concat_tables(
                [*links, label_link_tombstones(unlabelled, workspace_id=workspace_id)]
            ),
            "labels": TABLES["labels"].build(labels_in_use, workspace_id=workspace_id),
        }


def _set_column(rows: pa.Table, name: str, values: list[tuple[str, object]]) -> pa.Table:
    """Return rows with new values in one column, given by id."""
    by_id = dict(values)
    index = rows.schema.get_field_index(name)
    column = pa.array([by_id[run_id] for run_id in rows["id"].to_pylist()], rows.schema[index].type)
    return rows.set_column(index, rows.schema[index], column)
