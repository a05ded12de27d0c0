"""Runs that an incomplete listing lacks are not marked as deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tower_etl.config.settings import SyncOptions
from tower_etl.extract.destination_state import DestinationState
from tower_etl.extract.discovery import Workspace
from tower_etl.extract.listing import RunListing
from tower_etl.extract.planning import Planner
from tower_etl.extract.result import SyncResult
from tower_etl.sync import (
    ListingWindow,
    OpenRun,
    StoredRun,
    WorkspaceState,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STATE = WorkspaceState(cursor=NOW, open={"open": OpenRun(NOW - DAY)}, reconciled_at=NOW - DAY)
WHOLE = ListingWindow(None, None, is_full=True)


class OneRun(DestinationState):
    """A destination state with one final run."""

    def runs(self, workspace_id: int | None) -> dict[str, StoredRun]:
        """Return the run, for any workspace."""
        return {f"final-{workspace_id}": StoredRun(NOW - DAY, "SUCCEEDED")}


@pytest.mark.parametrize(
    ("steady", "counted", "missing", "gone", "whole", "word"),
    [
        (True, True, ("final-1",), ("open",), True, None),
        (True, False, (), (), True, "does not match its listing"),
        (False, True, (), (), False, "reconciles again"),
        (False, False, (), (), False, "reconciles again"),
    ],
)
def test_only_a_complete_listing_marks_runs_as_deleted(  # noqa: PLR0913 - parametrized values
    *,
    steady: bool,
    counted: bool,
    missing: tuple[str, ...],
    gone: tuple[str, ...],
    whole: bool,
    word: str | None,
) -> None:
    """Stored runs are marked as deleted, and open runs of the state are dropped."""
    no_executor: Any = None
    result = SyncResult()
    planner = Planner(no_executor, SyncOptions(), OneRun(None), result, NOW)
    listing = RunListing(WHOLE, (), is_unmodified=steady, count_matches=counted)

    plan = planner.plan(Workspace(1, "acme/lab", {}), STATE, listing)

    assert (plan.deleted, plan.other_deleted, plan.is_full) == (missing, gone, whole)
    assert [word in line for line in result.warnings if word] == [True] * bool(word)
    assert len(result.warnings) == bool(word)
