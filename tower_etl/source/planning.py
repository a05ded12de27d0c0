"""From the state of each workspace to what is to be done in it: lists, compares, plans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from tower_etl.sync import plan_listed, plan_whole
from tower_etl.tables import label_batch, link_batch, unlink_batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tower_etl.settings import Request
    from tower_etl.source.listing import Listing
    from tower_etl.source.preflight import Workspace
    from tower_etl.source.stored import StoredRuns
    from tower_etl.sync import Plan, RetryCause, WorkspaceState


@dataclass
class Work:
    """What is to be done in one workspace, and how far it is.

    Attributes:
        workspace: Where.
        plan: What.
        state: What is to be remembered of the workspace when the package at hand is committed.
        recovered: Causes for which a retry succeeded in this sync.
    """

    workspace: Workspace
    plan: Plan
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

    request: Request
    store: StoredRuns
    now: datetime
    warn: Callable[[str], None]

    def plan(self, workspace: Workspace, state: WorkspaceState, listing: Listing) -> Work:
        """What to do in a workspace after its listing."""
        if not listing.window.whole:
            plan = plan_listed(state, listing.runs, self.request, self.now)
        else:
            stored = self.store.read(workspace.id)
            plan = plan_whole(state, listing.runs, stored, self.request, self.now)
            plan = self._doubt(plan, workspace, listing)
        return Work(workspace, plan, plan.begins)

    def _doubt(self, plan: Plan, workspace: Workspace, listing: Listing) -> Plan:
        """An incomplete listing marks nothing as missing; a disturbed one is done again soon."""
        if listing.complete:
            return plan
        if not listing.steady:
            self.warn(
                f"{workspace.name}: runs came and went while they were listed; "
                "the next sync reconciles again."
            )
            return replace(plan, missing=(), gone=(), whole=False)
        if not listing.counted:
            self.warn(
                f"{workspace.name}: the server counts other runs than it lists; "
                "none was marked as missing."
            )
        return replace(plan, missing=(), gone=())

    def touch_up(self, work: Work) -> dict[str, pa.Table]:
        """Rows that change without a visit: stars, missing runs and links to labels."""
        plan = work.plan
        stars = _set_column(self.store.read_rows(plan.restar), "starred", [*plan.restar.items()])
        gone = _set_column(
            self.store.read_rows(plan.missing),
            "missing_since",
            [(run_id, self.now) for run_id in plan.missing],
        )
        return {"workflows": pa.concat_tables([stars, gone]), **self._relabel(work)}

    @staticmethod
    def _relabel(work: Work) -> dict[str, pa.Table]:
        place = work.workspace.id
        links = [
            link_batch(labels, workflow_id=run_id, workspace_id=place)
            for run_id, labels in work.plan.relabel.items()
        ]
        bare = [run_id for run_id, labels in work.plan.relabel.items() if not labels]
        named = [label for labels in work.plan.relabel.values() for label in labels]
        return {
            "workflow_labels": pa.concat_tables([*links, unlink_batch(bare, workspace_id=place)]),
            "labels": label_batch(named, workspace_id=place),
        }


def _set_column(rows: pa.Table, name: str, values: list[tuple[str, object]]) -> pa.Table:
    """The rows with other values in one column, by id."""
    by_id = dict(values)
    index = rows.schema.get_field_index(name)
    column = pa.array([by_id[run_id] for run_id in rows["id"].to_pylist()], rows.schema[index].type)
    return rows.set_column(index, rows.schema[index], column)
