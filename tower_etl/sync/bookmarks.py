"""Tasks of an open run that need no further visit: ranges of the task list that are final.

Tasks are listed by ascending id and none goes away, but one with a lower id may appear later, since
ids are given before tasks are submitted. It shifts the tasks behind it, so that a range is known
by its offsets and by the ids at its edges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FINAL_TASK_STATUSES = frozenset({"COMPLETED", "FAILED", "ABORTED", "CACHED"})

_IDS = range(-(2**63), 2**63)  # what the state and the tables can hold
_MIN_TASKS = 10  # of a range but the first: fewer save neither calls nor rows worth the state
_MAX_RANGES = 100  # of a run; those with most tasks are kept

TaskBrief = tuple[object, str | None]  # taskId, which should be an integer, and status


@dataclass(frozen=True)
class TaskRange:
    """Neighbouring tasks of the list, all of them final.

    Attributes:
        start: Offset of the first of them.
        end: Offset just past the last of them.
        first_id: `taskId` of the first of them, None where it is not known.
        last_id: `taskId` of the last of them.
    """

    start: int
    end: int
    first_id: int | None
    last_id: int | None


@dataclass(frozen=True)
class TaskBookmark:
    """The final tasks of an open run, which stay unfetched.

    Attributes:
        tasks: How many of the first tasks are final.
        last_task_id: `taskId` of the last of them, None if there are none.
        later: Final tasks further down in the list, by offset.
    """

    tasks: int = 0
    last_task_id: int | None = None
    later: tuple[TaskRange, ...] = ()

    @property
    def ranges(self) -> tuple[TaskRange, ...]:
        """All of them, by offset."""
        first = (TaskRange(0, self.tasks, None, self.last_task_id),) if self.tasks else ()
        return (*first, *self.later)


def advance_task_bookmark(
    found: Iterable[tuple[int, TaskBrief]], before: TaskBookmark
) -> TaskBookmark:
    """Return which tasks of a run are final now.

    Args:
        found: Tasks outside of what was settled before, each with its offset.
        before: What was settled before, and is still where it was.
    """
    ranges: list[TaskRange] = []
    for piece, is_final in _iter_ascending(found, before):
        last = ranges[-1] if ranges else None
        if is_final and last and last.end == piece.start:
            ranges[-1] = replace(last, end=piece.end, last_id=piece.last_id)
        elif is_final:
            ranges.append(piece)
    first = next((one for one in ranges if one.start == 0), TaskRange(0, 0, None, None))
    later = [one for one in ranges if one.start and one.end - one.start >= _MIN_TASKS]
    longest = sorted(later, key=lambda one: one.start - one.end)[:_MAX_RANGES]
    return TaskBookmark(first.end, first.last_id, tuple(sorted(longest, key=lambda one: one.start)))


def _iter_ascending(
    found: Iterable[tuple[int, TaskBrief]], before: TaskBookmark
) -> Iterator[tuple[TaskRange, bool]]:
    """Yield what was settled and each task found, by offset, and whether it is final.

    It ends with the first id that does not ascend: how a late task is noticed rests on the order.
    """
    pieces: list[tuple[int, TaskRange | TaskBrief]] = [*found]
    pieces += [(one.start, one) for one in before.ranges]
    last_id: int | None = None
    for offset, piece in sorted(pieces, key=lambda pair: pair[0]):
        if isinstance(piece, TaskRange):
            part, is_final = piece, True
        else:
            task_id, status = piece
            if type(task_id) is not int or task_id not in _IDS:
                return
            part = TaskRange(offset, offset + 1, task_id, task_id)
            is_final = status in FINAL_TASK_STATUSES
        if last_id is not None and part.first_id is not None and part.first_id <= last_id:
            return
        last_id = part.last_id
        yield part, is_final


def dump_bookmark(bookmark: TaskBookmark) -> dict[str, Any]:
    """Return the fields of an open run's state; the first two are those of older versions."""
    later = [[one.start, one.end, one.first_id, one.last_id] for one in bookmark.later]
    fields = {"settled_tasks": bookmark.tasks, "last_settled_task_id": bookmark.last_task_id}
    return fields | ({"settled_ranges": later} if later else {})


def load_bookmark(stored: Mapping[str, Any]) -> TaskBookmark:
    """Return what `dump_bookmark`, or an older version, wrote."""
    later = tuple(TaskRange(*one) for one in stored.get("settled_ranges", ()))
    return TaskBookmark(stored["settled_tasks"], stored["last_settled_task_id"], later)
