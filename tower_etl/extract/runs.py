"""Fetching one run: its detail, tasks and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tower_etl.api import NULL_KEY, Finding, MissingKey, TotalCheck
from tower_etl.errors import (
    AbsentListError,
    BadRequestError,
    ForbiddenError,
    MalformedResponseError,
    NotFoundError,
)
from tower_etl.extract.batch import FetchedRun, TaskPageBuffer
from tower_etl.extract.listing import is_listed, valid_labels, valid_status
from tower_etl.sync import (
    RUN_TABLES,
    RunSummary,
    TaskBookmark,
    advance_task_bookmark,
    is_final,
)
from tower_etl.timestamps import parse_timestamp
from tower_etl.transform import RunResponses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor

    from tower_etl.api import Item, TowerClient
    from tower_etl.extract.discovery import Workspace
    from tower_etl.sync import RunFetch

T = TypeVar("T")

_UNAVAILABLE = (AbsentListError, BadRequestError, ForbiddenError, NotFoundError)

# tables filled from the detail of a run
_DETAIL_TABLES = frozenset(
    {
        *("workflows", "workflow_progress", "process_progress", "workflow_labels", "users"),
        *("launches", "launch_datasets"),
    }
)
# Nextflow also counts retried and ignored tasks as failed. Every ended task was reported. Another
# task may have no record on the platform, or another state than in the progress of a killed run.
_ENDED = ("succeeded", "failed", "cached", "aborted")
_NOT_ENDED = ("pending", "submitted", "running")
_STATS = ("succeedCount", "failedCount", "cachedCount")
_ADVICE = (
    "All tasks that the server lists are stored. Compare the run with its page on the platform, "
    "and report the difference to the administrator of the server."
)


def fetch_run(
    client: TowerClient,
    workspace: Workspace,
    run_fetch: RunFetch,
    wanted: frozenset[str],
    pool: Executor | None = None,
) -> FetchedRun | None:
    """Fetch all parts of a run; return None if the run was deleted.

    Args:
        client: Client of the platform.
        workspace: Workspace of the run.
        run_fetch: Planned fetch, with the values of the run in the listing or the state.
        wanted: Selected tables.
        pool: Thread pool whose idle threads prefetch task pages of a large run.

    Raises:
        ApiError: A call failed after all attempts; the run is then discarded.
    """
    tables = (wanted - RUN_TABLES) | run_fetch.tables if run_fetch.tables else wanted
    try:
        return _RunReader(client, workspace, run_fetch, pool).read(tables)
    except (ForbiddenError, NotFoundError):
        # Both mean "does not exist" as well as "no access" (API fact 11); the listing decides.
        if is_listed(client, workspace, run_fetch.run_id, run_fetch.submit):
            raise
        return None


@dataclass
class _RunReader:
    """Reader of the parts of one run, which records the parts that the server does not have."""

    client: TowerClient
    workspace: Workspace
    run_fetch: RunFetch
    pool: Executor | None
    missing_parts: list[str] = field(default_factory=list)

    def read(self, wanted: frozenset[str]) -> FetchedRun:
        """Fetch the detail first: if it reports a final run, tasks fetched later are final too.

        All tasks of a final run are fetched, because tasks before the bookmark may have received a
        cost since.
        """
        detail = self._describe(wanted)
        run = detail.get("workflow") or {}
        responses = RunResponses(detail, self.workspace.id, self.run_fetch.starred)
        status, complete = valid_status(run), parse_timestamp(run.get("complete"))
        final = is_final(status, complete)
        bookmark = TaskBookmark() if final else self.run_fetch.bookmark
        tasks = TaskPageBuffer(responses.constant_columns)
        if "tasks" in wanted:
            fetched_tasks = self._read_part(
                "tasks", partial(self._fetch_tasks, responses, bookmark, final=final)
            )
            tasks, bookmark = fetched_tasks or (tasks, bookmark)
        metrics: list[Item] | None = None
        if "process_metrics" in wanted:
            metrics = self._read_part("metrics", lambda: self.client.list_metrics(*self._path))
        parts = tuple(self.missing_parts)
        responses = replace(
            responses, tasks=tasks.pages, metrics=metrics or [], missing_parts=parts
        )
        submit = parse_timestamp(run.get("submit")) or self.run_fetch.submit
        summary = RunSummary(
            self.run_fetch, status, submit, bookmark, complete, parts, wanted & RUN_TABLES
        )
        return FetchedRun(responses, summary, tuple(tasks.tables))

    @property
    def _path(self) -> tuple[int | None, str]:
        return self.workspace.id, self.run_fetch.run_id

    def _describe(self, wanted: frozenset[str]) -> Item:
        """Return the detail, which is not requested if no table needs it and the run is final."""
        listed = self.run_fetch
        if wanted & _DETAIL_TABLES or not is_final(listed.status, listed.complete):
            detail = self.client.get_run(*self._path)
            return {**detail, "labels": valid_labels(detail.get("labels"))}
        complete = listed.complete.isoformat() if listed.complete else None
        run = {"id": listed.run_id, "status": listed.status, "complete": complete}
        return {"workflow": run, "labels": []}

    def _read_part(self, name: str, fetch: Callable[[], T]) -> T | None:
        """Return the result of `fetch`, None if the server does not have this part of the run.

        A denied call is repeated once, because gateways send occasional 404s (API fact 11). A part
        of another type than the API gives counts as one that the server does not have.

        Raises:
            ApiError: The call failed in another way, or the run was deleted.
        """
        try:
            try:
                return fetch()
            except (ForbiddenError, NotFoundError, MalformedResponseError):
                return fetch()
        except (*_UNAVAILABLE, MalformedResponseError) as error:
            self.client.get_run(*self._path)  # fails if the run was deleted since
            if isinstance(error, MalformedResponseError):
                problem = (
                    f"{{}} run(s) were loaded without their {name}, which are no list of objects"
                )
                self._report(problem, f" ({error})", "The daily reconciliation retries.")
            self.missing_parts.append(name)
            return None

    def _fetch_tasks(
        self, responses: RunResponses, bookmark: TaskBookmark, *, final: bool
    ) -> tuple[TaskPageBuffer, TaskBookmark]:
        """Fetch the tasks outside of a bookmark, and return the new bookmark.

        If tasks at the edges of the bookmark have moved, tasks were inserted or deleted before
        them, and all tasks are fetched. Idle threads of the pool prefetch pages of a final run.
        """
        counts = count_expected(responses.detail)
        create_buffer = partial(TaskPageBuffer, responses.constant_columns)
        total_check = TotalCheck(counts.least, 0 if final else counts.most or 0)
        tasks_around = None
        if bookmark.ranges:
            tasks_around = self.client.list_tasks_around(*self._path, bookmark.ranges, total_check)
        if tasks_around is not None:
            tasks, offsets = create_buffer(), [offset for offset, _ in tasks_around]
            tasks.append([task for _, task in tasks_around])
        else:
            bookmark, pool = TaskBookmark(), self.pool if final else None
            tasks = self.client.list_tasks_into(*self._path, create_buffer, total_check, pool)
            offsets = [*range(len(tasks.keys))]
        self._check_tasks(tasks, total_check)
        if final:
            self._check_counts(len({task_id for task_id, _ in tasks.keys}), counts)
        return tasks, advance_task_bookmark(zip(offsets, tasks.keys, strict=True), bookmark)

    def _check_tasks(self, tasks: TaskPageBuffer, total_check: TotalCheck) -> None:
        """Report inconsistencies within the task list, and keep the last of repeated tasks."""
        if tasks.nulls:
            problem = "{} element(s) of task lists that are null were left out"
            self._report(problem, count=tasks.nulls)
        if not total_check.is_counted:
            problem = "{} run(s) with another number of tasks than the total of their task list"
            self._report(problem, f": {total_check.end} tasks, total {total_check.reported_total}")
        repeated = [key for key in total_check.repeated if not isinstance(key, MissingKey)]
        if repeated:
            problem = "{} run(s) that list a task twice"
            self._report(problem, f", {repeated[0]}", "The later one is stored.")
        if any(isinstance(key, MissingKey) and key != NULL_KEY for key, _ in tasks.keys):
            problem = "{} run(s) with tasks without a usable taskId"
            advice = "They are stored with a negative task_id, which is made from their content."
            self._report(problem, advice=advice)
        if total_check.repeated:
            tasks.keep_last()

    def _check_counts(self, tasks: int, expected: TaskCounts) -> None:
        """Report a final run whose number of tasks contradicts its progress or statistics."""
        least, most = expected.least, expected.most
        if tasks < least or (most is not None and tasks > most):
            problem = "{} run(s) with another number of tasks than their progress counts"
            counted = f"{least} to {most}" if most and most > least else f"{least}"
            self._report(problem, f": {tasks} tasks, progress {counted}")
        elif tasks < expected.stats:
            problem = "{} run(s) with fewer tasks than their statistics count"
            self._report(problem, f": {tasks} tasks, statistics {expected.stats}")

    def _report(
        self, problem: str, details: str = "", advice: str = _ADVICE, count: int = 1
    ) -> None:
        finding = Finding(self.workspace.name, problem, advice)
        self.client.findings.add(finding, self.run_fetch.run_id + details, count)


@dataclass(frozen=True)
class TaskCounts:
    """Expected number of tasks of a run by its progress and by its statistics.

    Attributes:
        least: Lower bound by its progress.
        most: Upper bound by its progress, None if it lacks the count of a state.
        stats: Lower bound by its statistics.
    """

    least: int = 0
    most: int | None = None
    stats: int = 0


def count_expected(detail: Mapping[str, Any]) -> TaskCounts:
    """Return the expected number of tasks by the detail of a run."""
    progress, run = detail.get("progress"), detail.get("workflow")
    load = _object(progress).get("workflowProgress")
    ended, not_ended = _read(load, _ENDED), _read(load, _NOT_ENDED)
    least, counts = sum(n for n in ended if n), [*ended, *not_ended]
    return TaskCounts(
        least=least,
        most=None if None in counts else sum(n for n in counts if n),
        stats=sum(n for n in _read(_object(run).get("stats"), _STATS) if n),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(counts: object, names: Iterable[str]) -> list[int | None]:
    """Return counts by name, None if missing; negative counts of old clients become 0."""
    values = [_object(counts).get(name) for name in names]
    return [max(0, n) if type(n) is int else None for n in values]
