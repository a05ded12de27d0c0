"""Bookmarks of an open run: ranges of its task list that are final and need not be refetched.

Tasks are listed by ascending id and are never deleted, but a task with a lower id may appear later,
because ids are assigned before tasks are submitted. It shifts the tasks behind it, so a range is
identified by its offsets and by the ids of its first and last task.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tower_etl.lossless import INT64

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FINAL_TASK_STATUSES = frozenset({"COMPLETED", "FAILED", "ABORTED", "CACHED"})

_MIN_TASKS = 10  # in each range except the first: smaller ranges are not worth their state
_MAX_RANGES = 100  # per run; the ranges with the most tasks are kept

TaskBrief = tuple[object, str | None]  # `taskId`, which should be an integer, and status


@dataclass(frozen=True)
class TaskRange:
    """Range of consecutive tasks in the list, all of them final.

    Attributes:
        start: Offset of the first task.
        end: Offset just past the last task.
        first_id: `taskId` of the first task, None if unknown.
        last_id: `taskId` of the last task.
    """

    start: int
    end: int
    first_id: int | None
    last_id: int | None


@dataclass(frozen=True)
class TaskBookmark:
    """Final tasks of an open run, which are not refetched.

    Attributes:
        tasks: Number of final tasks at the start of the list.
        last_task_id: `taskId` of the last of these tasks, None without any.
        later: Ranges of final tasks further down in the list, by offset.
    """

    tasks: int = 0
    last_task_id: int | None = None
    later: tuple[TaskRange, ...] = ()

    @property
    def ranges(self) -> tuple[TaskRange, ...]:
        """All ranges of final tasks, by offset."""
        first = (TaskRange(0, self.tasks, None, self.last_task_id),) if self.tasks else ()
        return (*first, *self.later)


def advance_task_bookmark(
    tasks: Iterable[tuple[int, TaskBrief]], before: TaskBookmark
) -> TaskBookmark:
    """Return the bookmark after an open run was fetched.

    Args:
        tasks: Tasks outside of the previous bookmark, each with its offset.
        before: Previous bookmark, whose ranges have not moved.
    """
    ranges: list[TaskRange] = []
    for part, is_final in _iter_ascending(tasks, before):
        last = ranges[-1] if ranges else None
        if is_final and last and last.end == part.start:
            ranges[-1] = replace(last, end=part.end, last_id=part.last_id)
        elif is_final:
            ranges.append(part)
    first = next((one for one in ranges if one.start == 0), TaskRange(0, 0, None, None))
    later = [one for one in ranges if one.start and one.end - one.start >= _MIN_TASKS]
    longest = sorted(later, key=lambda one: one.start - one.end)[:_MAX_RANGES]
    return TaskBookmark(first.end, first.last_id, tuple(sorted(longest, key=lambda one: one.start)))


def _iter_ascending(
    tasks: Iterable[tuple[int, TaskBrief]], before: TaskBookmark
) -> Iterator[tuple[TaskRange, bool]]:
    """Yield the ranges of a bookmark and each fetched task, by offset, and whether it is final.

    The iteration ends at the first id that does not ascend, because the detection of late tasks
    relies on the order.
    """
    entries: list[tuple[int, TaskRange | TaskBrief]] = [*tasks]
    entries += [(one.start, one) for one in before.ranges]
    last_id: int | None = None
    for offset, entry in sorted(entries, key=lambda pair: pair[0]):
        if isinstance(entry, TaskRange):
            part, is_final = entry, True
        else:
            task_id, status = entry
            if type(task_id) is not int or task_id not in INT64:
                return
            part = TaskRange(offset, offset + 1, task_id, task_id)
            is_final = status in FINAL_TASK_STATUSES
        if last_id is not None and part.first_id is not None and part.first_id <= last_id:
            return
        last_id = part.last_id
        yield part, is_final


def dump_bookmark(bookmark: TaskBookmark) -> dict[str, Any]:
    """Return the bookmark as fields of an open run's state; older versions have the first two."""
    later = [[one.start, one.end, one.first_id, one.last_id] for one in bookmark.later]
    fields = {"settled_tasks": bookmark.tasks, "last_settled_task_id": bookmark.last_task_id}
    return fields | ({"settled_ranges": later} if later else {})


def load_bookmark(stored: Mapping[str, Any]) -> TaskBookmark:
    """Return the bookmark that `dump_bookmark`, or an older version, wrote."""
    later = tuple(TaskRange(*one) for one in stored.get("settled_ranges", ()))
    return TaskBookmark(stored["settled_tasks"], stored["last_settled_task_id"], later)
