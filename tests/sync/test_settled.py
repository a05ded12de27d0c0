"""Tasks of an open run that need no further visit, and how it is noticed that they do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.sync import Settled, is_undisturbed, measure_settled

Briefs = list[tuple[object, str | None]]


def tasks(*ids: object, status: str | None = "COMPLETED") -> Briefs:
    """Make tasks of one status."""
    return [(task_id, status) for task_id in ids]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "ABORTED", "CACHED"])
def test_final_tasks_are_settled(status: str) -> None:
    """To the last of them, whatever the size of a page, with gaps between the ids."""
    assert measure_settled(tasks(1, 2, 3, 4, 6, 7, 8, status=status), Settled()) == Settled(7, 8)


@pytest.mark.parametrize("status", ["NEW", "SUBMITTED", "RUNNING", "ODD", None])
def test_nothing_is_settled_from_an_open_task_on(status: str | None) -> None:
    """Later ones are not, be they final or not."""
    listed = [*tasks(1, 2, 3), *tasks(4, status=status), *tasks(5, 6)]

    assert measure_settled(listed, Settled()) == Settled(3, 3)


@pytest.mark.parametrize(
    ("ids", "settled"),
    [((2, 1), Settled(1, 2)), ((1, 3, 2, 4), Settled(2, 3)), ((5, 5, 6), Settled(1, 5))],
)
def test_nothing_is_settled_from_a_task_on_that_does_not_ascend(
    ids: tuple[int, ...], settled: Settled
) -> None:
    """How a task that came in between is noticed rests on their order."""
    assert measure_settled(tasks(*ids), Settled()) == settled


@pytest.mark.parametrize("odd", [None, "2", 2.0, {}])
def test_nothing_is_settled_from_an_odd_id_on(odd: object) -> None:
    """Nor does it end in an error."""
    assert measure_settled(tasks(1, odd, 3), Settled()) == Settled(1, 1)


def test_settling_goes_on_from_what_was_settled() -> None:
    """Tasks are fetched from there on."""
    assert measure_settled(tasks(5, 6), Settled(4, 4)) == Settled(6, 6)
    assert measure_settled(tasks(), Settled(4, 4)) == Settled(4, 4)
    assert measure_settled(tasks(), Settled()) == Settled()


def test_tasks_that_begin_too_low_settle_nothing_more() -> None:
    """Another one came in before them."""
    assert measure_settled(tasks(4, 5), Settled(4, 4)) == Settled(4, 4)


@pytest.mark.parametrize(
    ("found", "settled", "undisturbed"),
    [
        (tasks(4), Settled(4, 4), True),
        (tasks(4, 5, 6), Settled(4, 4), True),
        (tasks(4, 5, status="RUNNING"), Settled(4, 4), True),
        (tasks(3, 4, 5), Settled(4, 4), False),
        (tasks(5, 6), Settled(4, 4), False),
        (tasks(5, 4), Settled(4, 4), False),
        (tasks(), Settled(4, 4), False),
        (tasks(1, 2), Settled(), False),
    ],
)
def test_the_last_settled_task_is_looked_for_in_its_place(
    found: Briefs, settled: Settled, *, undisturbed: bool
) -> None:
    """One that came in before it shifts it back, one that went shifts it on or out."""
    assert is_undisturbed(found, settled) == undisturbed


@given(
    ids=st.sets(st.integers(1, 60), min_size=1, max_size=40),
    late=st.sets(st.integers(1, 60), max_size=5),
    open_from=st.integers(1, 61),
)
def test_settled_tasks_are_fetched_again_when_any_other_came_before_them(
    ids: set[int], late: set[int], open_from: int
) -> None:
    """After any number of late tasks, a visit from the last settled one on sees all, or notices."""
    before, after = sorted(ids), sorted(ids | late)
    settled = measure_settled(
        [(i, "COMPLETED" if i < open_from else "RUNNING") for i in before], Settled()
    )
    known = set(before[: settled.tasks])

    assert known == {i for i in before if i < open_from}
    if settled.tasks:
        rest = after[settled.tasks - 1 :]
        is_early = any(i < max(known) for i in late - ids)
        assert is_undisturbed(tasks(*rest), settled) == (not is_early)
        assert is_early or known | set(rest) == set(after)


@given(
    ids=st.sets(st.integers(1, 30), min_size=1, max_size=20),
    lost=st.sets(st.integers(1, 30), min_size=1, max_size=3),
)
def test_settled_tasks_that_went_are_noticed(ids: set[int], lost: set[int]) -> None:
    """Whichever of them it was."""
    before, after = sorted(ids), sorted(ids - lost)
    settled = measure_settled(tasks(*before), Settled())
    rest = after[settled.tasks - 1 :]

    assert is_undisturbed(tasks(*rest), settled) == (not ids & lost)
