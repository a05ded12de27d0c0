"""Tasks of an open run that need no further visit: which they are, and how they are kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.sync import TaskBookmark, TaskRange, advance_task_bookmark
from tower_etl.sync.bookmarks import dump_bookmark, load_bookmark

if TYPE_CHECKING:
    from tower_etl.sync import TaskBrief

OPEN = "RUNNING"


def tasks(
    *ids: object, status: str | None = "COMPLETED", start: int = 0
) -> list[tuple[int, TaskBrief]]:
    """Make tasks of one status, at offsets from some start on."""
    return [(start + place, (task_id, status)) for place, task_id in enumerate(ids)]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "ABORTED", "CACHED"])
def test_final_tasks_are_settled(status: str) -> None:
    """To the last of them, whatever the size of a page, with gaps between the ids."""
    assert advance_task_bookmark(
        tasks(1, 2, 3, 4, 6, 7, 8, status=status), TaskBookmark()
    ) == TaskBookmark(7, 8)


@pytest.mark.parametrize("status", ["NEW", "SUBMITTED", "RUNNING", "ODD", None])
def test_an_open_task_is_not_settled_and_those_around_it_are(status: str | None) -> None:
    """A few tasks behind it are not worth the state."""
    listed = [
        *tasks(1, 2, 3),
        *tasks(4, status=status, start=3),
        *tasks(*range(5, 25), start=4),
        *tasks(25, status=status, start=24),
        *tasks(26, 27, start=25),
    ]

    assert advance_task_bookmark(listed, TaskBookmark()) == TaskBookmark(
        3, 3, (TaskRange(4, 24, 5, 24),)
    )


@pytest.mark.parametrize(
    ("ids", "bookmark"),
    [
        ((2, 1), TaskBookmark(1, 2)),
        ((1, 3, 2, *range(4, 40)), TaskBookmark(2, 3)),
        ((5, 5, *range(6, 40)), TaskBookmark(1, 5)),
    ],
)
def test_nothing_is_settled_from_a_task_on_that_does_not_ascend(
    ids: tuple[int, ...], bookmark: TaskBookmark
) -> None:
    """How a task that came in between is noticed rests on their order."""
    assert advance_task_bookmark(tasks(*ids), TaskBookmark()) == bookmark


@pytest.mark.parametrize("odd", [None, "2", 2.0, {}, True, 2**63])
def test_nothing_is_settled_from_an_odd_id_on(odd: object) -> None:
    """Nor does it end in an error; the state could not hold an id beyond 64 bits."""
    assert advance_task_bookmark(tasks(1, odd, *range(3, 40)), TaskBookmark()) == TaskBookmark(1, 1)


def test_settling_goes_on_from_what_was_settled() -> None:
    """Tasks are fetched around it."""
    before = TaskBookmark(4, 4, (TaskRange(5, 30, 6, 30),))
    assert advance_task_bookmark(tasks(5, status=OPEN, start=4), before) == before
    assert advance_task_bookmark([], before) == before
    assert advance_task_bookmark([], TaskBookmark()) == TaskBookmark()
    assert advance_task_bookmark(tasks(5, start=4), before) == TaskBookmark(30, 30)
    later = advance_task_bookmark(tasks(*range(31, 50), start=30), before)
    assert later == TaskBookmark(4, 4, (TaskRange(5, 49, 6, 49),))


def test_the_state_stays_small() -> None:
    """However many tasks are open among those that are final: the longest ranges are kept."""
    ids = [
        (offset, (offset, OPEN if offset % (12 if offset < 30_000 else 60) == 0 else "COMPLETED"))
        for offset in range(60_000)
    ]
    bookmark = advance_task_bookmark(ids, TaskBookmark())
    assert len(bookmark.later) == 100
    assert {one.end - one.start for one in bookmark.later} == {59}
    assert len(json.dumps(dump_bookmark(bookmark))) < 5_000


@given(
    count=st.integers(0, 120),
    open_at=st.sets(st.integers(0, 119), max_size=10),
    step=st.integers(1, 3),
)
def test_what_is_settled_is_final_and_comes_back_from_the_state(
    count: int, open_at: set[int], step: int
) -> None:
    """Each range by its offsets and the ids at its edges."""
    ids = [7 + step * offset for offset in range(count)]
    found = [(n, (ids[n], OPEN if n in open_at else "FAILED")) for n in range(count)]

    bookmark = advance_task_bookmark(found, TaskBookmark())

    assert load_bookmark(json.loads(json.dumps(dump_bookmark(bookmark)))) == bookmark
    for one in bookmark.ranges:
        assert not open_at & set(range(one.start, one.end))
        assert one.first_id in {ids[one.start], None}
        assert one.last_id == ids[one.end - 1]
    kept = {n for one in bookmark.ranges for n in range(one.start, one.end)}
    assert (
        advance_task_bookmark([pair for pair in found if pair[0] not in kept], bookmark) == bookmark
    )


def test_the_state_of_an_older_version_is_read() -> None:
    """It knew the first tasks alone; and it reads what is written now."""
    stored = {"settled_tasks": 7, "last_settled_task_id": 9}
    assert load_bookmark(stored) == TaskBookmark(7, 9)
    assert dump_bookmark(TaskBookmark(7, 9)) == stored
    later = dump_bookmark(TaskBookmark(7, 9, (TaskRange(20, 40, 22, 41),)))
    assert later == stored | {"settled_ranges": [[20, 40, 22, 41]]}
