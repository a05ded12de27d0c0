"""How the state moves on when something landed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.sync import (
    Landed,
    OpenRun,
    Plan,
    Settled,
    Visit,
    WorkspaceState,
    finish_workspace,
    is_disturbed,
    land_run,
    measure_settled,
)
from tower_etl.sync.state import OVERLAP, OVERLAP_RUNS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GIVE_UP = 30 * DAY
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
OPEN = ("SUBMITTED", "RUNNING", "UNKNOWN", "PAUSED", None)


def land(
    state: WorkspaceState,
    status: str | None = "SUCCEEDED",
    submit: datetime | None = NOW,
    *,
    run_id: str = "r",
    is_new: bool = True,
) -> WorkspaceState:
    """Land a run that was submitted then."""
    visit = Visit(run_id, submit, starred=True, is_new=is_new)
    return land_run(state, Landed(visit, status, submit, Settled(100, 120)), GIVE_UP, NOW)


@pytest.mark.parametrize("status", OPEN)
def test_an_open_run_is_watched(status: str | None) -> None:
    """With its star and what is settled of it; an unknown word is no final one."""
    assert land(WorkspaceState(), status).open == {"r": OpenRun(NOW, True, Settled(100, 120))}  # noqa: FBT003 - starred


@pytest.mark.parametrize("status", FINAL)
def test_a_final_run_is_watched_no_longer(status: str) -> None:
    """Others are."""
    state = WorkspaceState(open={"r": OpenRun(NOW), "other": OpenRun(NOW)})

    assert set(land(state, status).open) == {"other"}


def test_an_open_run_past_the_give_up_age_is_not_watched() -> None:
    """Only reconciliation comes back to it."""
    state = WorkspaceState(open={"r": OpenRun(NOW - 31 * DAY)})

    assert land(state, "RUNNING", NOW - 31 * DAY, is_new=False).open == {}
    assert set(land(state, "RUNNING", NOW - 30 * DAY, is_new=False).open) == {"r"}


def test_a_new_run_moves_the_cursor_on() -> None:
    """Forward only."""
    state = land(WorkspaceState(), submit=NOW - MINUTE, run_id="a")
    state = land(state, submit=NOW, run_id="b")
    state = land(state, submit=NOW - 2 * MINUTE, run_id="c")

    assert state.cursor == NOW
    assert state.seen == {"a": NOW - MINUTE, "b": NOW, "c": NOW - 2 * MINUTE}


def test_an_old_run_moves_no_cursor() -> None:
    """It was listed for another reason."""
    state = WorkspaceState(cursor=NOW - DAY, seen={"a": NOW - DAY})

    assert land(state, is_new=False) == state


def test_the_description_knows_better_when_a_run_was_submitted() -> None:
    """The listing may not have said."""
    landed = Landed(Visit("r", None, None, is_new=True), "SUCCEEDED", NOW)

    assert land_run(WorkspaceState(), landed, GIVE_UP, NOW).cursor == NOW


def test_a_run_without_a_time_moves_no_cursor() -> None:
    """It is watched all the same while it is open."""
    state = land(WorkspaceState(), "RUNNING", None)

    assert (state.cursor, state.seen, set(state.open)) == (None, {}, {"r"})


@given(minutes=st.lists(st.integers(0, 300), min_size=1, max_size=150))
def test_what_is_seen_is_what_the_next_listing_shows(minutes: list[int]) -> None:
    """No run that it shows is unknown, and no more is kept than that."""
    state = WorkspaceState()
    submits = {f"r{number}": NOW + at * MINUTE for number, at in enumerate(minutes)}
    for run_id, submit in sorted(submits.items(), key=lambda item: item[1]):
        state = land(state, submit=submit, run_id=run_id)

    start = state.listed_from
    assert start is not None
    assert start >= max(submits.values()) - OVERLAP
    assert state.seen == {run_id: at for run_id, at in submits.items() if at >= start}
    assert sum(at > start for at in state.seen.values()) < OVERLAP_RUNS


def test_a_partial_sync_ends_as_it_is() -> None:
    """Only a complete listing is noted."""
    state = WorkspaceState(cursor=NOW, open={"r": OpenRun(NOW)})

    assert finish_workspace(state, Plan(state, missing=("r",)), NOW) == state


def test_a_complete_sync_is_noted() -> None:
    """And missing runs are watched no longer."""
    state = WorkspaceState(cursor=NOW, open={"gone": OpenRun(NOW), "there": OpenRun(NOW)})

    done = finish_workspace(state, Plan(state, missing=("gone",), whole=True), NOW)

    assert (set(done.open), done.reconciled_at, done.cursor) == ({"there"}, NOW, NOW)


def test_an_empty_workspace_is_noted_too() -> None:
    """There is nothing for a cursor."""
    done = finish_workspace(WorkspaceState(), Plan(WorkspaceState(), whole=True), NOW)

    assert done == WorkspaceState(reconciled_at=NOW)


def test_adopted_runs_move_the_cursor_and_are_seen() -> None:
    """As far as the next listing shows them, together with those that landed now."""
    state = WorkspaceState(cursor=NOW - MINUTE, seen={"new": NOW - MINUTE})
    adopts = {"newest": NOW, "recent": NOW - HOUR, "old": NOW - DAY}

    done = finish_workspace(state, Plan(state, whole=True, adopts=adopts), NOW)

    assert done.cursor == NOW
    assert done.seen == {"new": NOW - MINUTE, "newest": NOW, "recent": NOW - HOUR}


# --- tasks that need no further visit ---------------------------------------------------------


def page(*ids: int, status: str | None = "COMPLETED") -> list[tuple[int, str | None]]:
    """Make a page of tasks of one status."""
    return [(task_id, status) for task_id in ids]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "ABORTED", "CACHED"])
def test_whole_pages_of_final_tasks_are_settled(status: str) -> None:
    """The short one at the end is not."""
    pages = [page(1, 2, 3, status=status), page(4, 6, 7, status=status), page(8, status=status)]

    assert measure_settled(pages, Settled(), 3) == Settled(6, 7)


@pytest.mark.parametrize("status", ["NEW", "SUBMITTED", "RUNNING", "ODD", None])
def test_nothing_is_settled_from_an_open_task_on(status: str | None) -> None:
    """Later pages are not, be they final or not."""
    pages = [page(1, 2), [(3, "COMPLETED"), (4, status)], page(5, 6)]

    assert measure_settled(pages, Settled(), 2) == Settled(2, 2)


@pytest.mark.parametrize("pages", [[page(2, 1)], [page(1, 3, 2, 4)]])
def test_tasks_that_do_not_ascend_are_never_settled(
    pages: list[list[tuple[int, str | None]]],
) -> None:
    """How a task that came in between is noticed rests on their order."""
    assert measure_settled(pages, Settled(), len(pages[0])) == Settled()


def test_settling_goes_on_from_what_was_settled() -> None:
    """Pages are fetched from there on."""
    assert measure_settled([page(5, 6)], Settled(4, 4), 2) == Settled(6, 6)
    assert measure_settled([], Settled(4, 4), 2) == Settled(4, 4)


def test_a_page_that_begins_too_low_settles_nothing_more() -> None:
    """Another task came in before it."""
    assert measure_settled([page(4, 5)], Settled(4, 4), 2) == Settled(4, 4)


@pytest.mark.parametrize(
    ("tasks", "settled", "disturbed"),
    [
        (page(5, 6), Settled(4, 4), False),
        (page(4, 5), Settled(4, 4), True),
        (page(9, 3), Settled(4, 4), True),
        (page(), Settled(4, 4), False),
        (page(1, 2), Settled(), False),
    ],
)
def test_a_task_that_came_in_before_is_noticed(
    tasks: list[tuple[int, str | None]], settled: Settled, *, disturbed: bool
) -> None:
    """It shifts the last settled one onto the next page."""
    assert is_disturbed(tasks, settled) == disturbed


@given(
    ids=st.sets(st.integers(1, 60), max_size=40),
    late=st.sets(st.integers(1, 60), max_size=5),
    open_from=st.integers(1, 61),
)
def test_settled_tasks_are_fetched_again_when_any_other_came_before_them(
    ids: set[int], late: set[int], open_from: int
) -> None:
    """After any number of late tasks, a visit from the settled ones on sees all, or notices."""
    size = 4
    before = sorted(ids)
    pages = [
        [(i, "COMPLETED" if i < open_from else "RUNNING") for i in before[at : at + size]]
        for at in range(0, len(before), size)
    ]
    settled = measure_settled(pages, Settled(), size)
    after = sorted(ids | late)
    rest = page(*after[settled.tasks : settled.tasks + size])

    known = set(before[: settled.tasks])
    assert is_disturbed(rest, settled) or known | set(after[settled.tasks :]) == set(after)
    assert all(task_id < open_from for task_id in known)
