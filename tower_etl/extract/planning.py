"""From the state of each workspace to what is to be done in it: lists, compares, plans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from tower_etl.schema import label_link_tombstones, label_links, label_rows
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
    """What is to be done in one workspace, and how far it is.

    Attributes:
        workspace: Where.
        plan: What.
        state: What is to be remembered of the workspace when the package at hand is committed.
        recovered: Causes for which a retry succeeded in this sync.
    """

    workspace: Workspace
    plan: WorkspacePlan
    state: WorkspaceState
    recovered: set[RetryCause] = field(default_factory=set)


@dataclass(frozen=True)
class Planner:
    """Turns listings into plans.

    Attributes:
        request: What the sync is asked to do.
        store: What the destination holds.
        now: When the sync started (UTC).
        warn: Told what the user should know.
    """

    options: SyncOptions
    destination_state: DestinationState
    now: datetime
    warn: Callable[[str], None]

    def plan(
        self, workspace: Workspace, state: WorkspaceState, listing: RunListing
    ) -> WorkspaceSync:
        """What to do in a workspace after its listing."""
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
        """An incomplete listing marks nothing as missing; a disturbed one is done again soon."""
        if listing.complete:
            return plan
        if not listing.is_unmodified:
            self.warn(
                f"{workspace.name}: runs came and went while they were listed; "
                "the next sync reconciles again."
            )
            return replace(plan, deleted=(), vanished=(), is_full=False)
        if not listing.count_matches:
            self.warn(
                f"{workspace.name}: the server counts other runs than it lists; "
                "none was marked as missing."
            )
        return replace(plan, deleted=(), vanished=())

    def build_in_place_updates(self, work: WorkspaceSync) -> dict[str, pa.Table]:
        """Rows that change without a visit: stars, missing runs and links to labels."""
        plan = work.plan
        stars = _set_column(
            self.destination_state.run_rows(plan.star_updates),
            "starred",
            [*plan.star_updates.items()],
        )
        gone = _set_column(
            self.destination_state.run_rows(plan.deleted),
            "missing_since",
            [(run_id, self.now) for run_id in plan.deleted],
        )
        return {"workflows": pa.concat_tables([stars, gone]), **self._relabel(work)}

    @staticmethod
    def _relabel(work: WorkspaceSync) -> dict[str, pa.Table]:
        place = work.workspace.id
        links = [
            label_links(labels, workflow_id=run_id, workspace_id=place)
            for run_id, labels in work.plan.label_updates.items()
        ]
        bare = [run_id for run_id, labels in work.plan.label_updates.items() if not labels]
        named = [label for labels in work.plan.label_updates.values() for label in labels]
        return {
            "workflow_labels": pa.concat_tables(
                [*links, label_link_tombstones(bare, workspace_id=place)]
            ),
            "labels": label_rows(named, workspace_id=place),
        }


def _set_column(rows: pa.Table, name: str, values: list[tuple[str, object]]) -> pa.Table:
    """The rows with other values in one column, by id."""
    by_id = dict(values)
    index = rows.schema.get_field_index(name)
    column = pa.array([by_id[run_id] for run_id in rows["id"].to_pylist()], rows.schema[index].type)
    return rows.set_column(index, rows.schema[index], column)
