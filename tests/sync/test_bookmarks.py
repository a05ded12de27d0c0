"""Bookmark of an open run: the final tasks that are not fetched again, and how they are stored."""

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
    """Return tasks of one status, at consecutive offsets."""
    return [(start + place, (task_id, status)) for place, task_id in enumerate(ids)]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "ABORTED", "CACHED"])
def test_a_bookmark_contains_all_final_tasks(status: str) -> None:
    """It does not depend on the page size, and ids may have gaps."""
    assert advance_task_bookmark(
        tasks(1, 2, 3, 4, 6, 7, 8, status=status), TaskBookmark()
    ) == TaskBookmark(7, 8)


@pytest.mark.parametrize("status", ["NEW", "SUBMITTED", "RUNNING", "ODD", None])
def test_a_bookmark_leaves_out_open_tasks_but_not_those_around_them(status: str | None) -> None:
    """A range of few tasks at the end is not worth its size in the state."""
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
def test_a_bookmark_ends_before_a_task_id_out_of_order(
    ids: tuple[int, ...], bookmark: TaskBookmark
) -> None:
    """The detection of inserted tasks relies on ascending ids."""
    assert advance_task_bookmark(tasks(*ids), TaskBookmark()) == bookmark


@pytest.mark.parametrize("odd", [None, "2", 2.0, {}, True, 2**63])
def test_a_bookmark_ends_before_an_invalid_task_id(odd: object) -> None:
    """An id beyond 64 bits is invalid, because the state cannot contain it."""
    assert advance_task_bookmark(tasks(1, odd, *range(3, 40)), TaskBookmark()) == TaskBookmark(1, 1)


def test_a_bookmark_is_extended_by_newly_fetched_tasks() -> None:
    """Only the tasks outside of it are fetched."""
    before = TaskBookmark(4, 4, (TaskRange(5, 30, 6, 30),))
    assert advance_task_bookmark(tasks(5, status=OPEN, start=4), before) == before
    assert advance_task_bookmark([], before) == before
    assert advance_task_bookmark([], TaskBookmark()) == TaskBookmark()
    assert advance_task_bookmark(tasks(5, start=4), before) == TaskBookmark(30, 30)
    later = advance_task_bookmark(tasks(*range(31, 50), start=30), before)
    assert later == TaskBookmark(4, 4, (TaskRange(5, 49, 6, 49),))


def test_a_bookmark_keeps_only_the_longest_ranges() -> None:
    """The state stays small, however many tasks are open among the final ones."""
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
def test_a_bookmark_contains_only_final_tasks_and_round_trips_as_json(
    count: int, open_at: set[int], step: int
) -> None:
    """Each range has its offsets and the ids at its edges."""
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


def test_a_bookmark_of_an_older_version_is_read() -> None:
    """Older versions stored only the first range, and can read what is written now."""
    stored = {"settled_tasks": 7, "last_settled_task_id": 9}
    assert load_bookmark(stored) == TaskBookmark(7, 9)
    assert dump_bookmark(TaskBookmark(7, 9)) == stored
    later = dump_bookmark(TaskBookmark(7, 9, (TaskRange(20, 40, 22, 41),)))
    assert later == stored | {"settled_ranges": [[20, 40, 22, 41]]}
