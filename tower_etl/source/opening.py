"""The beginning of a sync: every workspace is listed, and it is decided what to do in each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.source.listing import Listing
from tower_etl.source.preflight import PERSONAL
from tower_etl.sync import plan_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tower_etl.source.fetcher import Failure, Fetcher
    from tower_etl.source.outcome import Outcome
    from tower_etl.source.planning import Planner, Work
    from tower_etl.source.preflight import Reach, Workspace
    from tower_etl.sync import WorkspaceState


def leave_out_strangers(reach: Reach, outcome: Outcome) -> Reach:
    """Without the personal workspace, where the target holds that of another user."""
    if PERSONAL not in outcome.workspaces:
        return reach
    del outcome.workspaces[PERSONAL]
    outcome.warnings.append(
        "The target holds the personal workspace of another user; that of this token is left "
        "out. Sync it into a target of its own, with --workspace personal."
    )
    spaces = tuple(space for space in reach.workspaces if space.id is not None)
    return replace(reach, workspaces=spaces)


@dataclass(frozen=True)
class Opening:
    """Lists and plans.

    Attributes:
        fetcher: Lists workspaces side by side.
        planner: Turns a listing into a plan.
        outcome: Is told what was listed.
        give_up: Is told of a workspace that could not be listed.
    """

    fetcher: Fetcher
    planner: Planner
    outcome: Outcome
    give_up: Callable[[Workspace, Failure], None]

    def plan_all(
        self, spaces: Iterable[Workspace], states: Mapping[str, WorkspaceState]
    ) -> list[Work]:
        """What is to be done in each workspace that could be listed."""
        listed: set[str] = set()
        works = list(self._iter_works(spaces, states, listed))
        for work in works:
            self._doubt_missing(work, listed)
        return works

    def _iter_works(
        self, spaces: Iterable[Workspace], states: Mapping[str, WorkspaceState], listed: set[str]
    ) -> Iterator[Work]:
        request, now = self.planner.request, self.planner.now
        asked = [(space, plan_window(states[space.key], request, now)) for space in spaces]
        for space, listing in self.fetcher.list_all(asked):
            if not isinstance(listing, Listing):
                self.give_up(space, listing)
                continue
            work = self.planner.plan(space, states[space.key], listing)
            listed.update(run.run_id for run in listing.runs)
            outcome = self.outcome.workspaces[space.key]
            outcome.listed, outcome.planned = len(listing.runs), len(work.plan.visits)
            self.outcome.reconciled |= listing.window.whole
            yield work

    def _doubt_missing(self, work: Work, listed: set[str]) -> None:
        """Runs that moved to another workspace are not missing, nor are those that answer."""
        missing = [run_id for run_id in work.plan.missing if run_id not in listed]
        here = self.outcome.workspaces[work.workspace.key].listed
        if len(missing) > here and self.fetcher.finds(work.workspace, missing[-1]):
            missing = []
            self.outcome.warnings.append(
                f"{work.workspace.name}: the listing lacks runs that are there; none was "
                "marked as missing."
            )
            work.plan = replace(work.plan, gone=())
        work.plan = replace(work.plan, missing=tuple(missing))
