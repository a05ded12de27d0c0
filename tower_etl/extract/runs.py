"""Fetching one run: its detail, tasks and metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
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
    LoadedRun,
    TaskBookmark,
    advance_task_bookmark,
    is_final,
)
from tower_etl.timestamps import parse_timestamp
from tower_etl.transform import RunResponses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor

    from tower_etl.api import Findings, Item, TowerClient
    from tower_etl.extract.discovery import Workspace
    from tower_etl.sync import RunFetch, TaskBrief

T = TypeVar("T")

_UNAVAILABLE = (AbsentListError, BadRequestError, ForbiddenError, NotFoundError)

DETAIL_TABLES = frozenset(
    {
        *("workflows", "workflow_progress", "process_progress", "workflow_labels", "users"),
        *("launches", "launch_datasets"),
    }
)  # tables filled from the detail of a run


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
        run_fetch: Planned fetch, with what is known of the run.
        wanted: Selected tables.
        pool: Thread pool whose idle threads prefetch task pages of a large run.

    Raises:
        ApiError: A call failed after all attempts; the run is then discarded.
    """
    tables = (wanted - RUN_TABLES) | run_fetch.tables if run_fetch.tables else wanted
    try:
        return _fetch_parts(client, workspace, run_fetch, tables, pool)
    except (ForbiddenError, NotFoundError):
        # Both mean "does not exist" as well as "no access" (API fact 11); the listing decides.
        if is_listed(client, workspace, run_fetch.run_id, run_fetch.submit):
            raise
        return None


def _fetch_parts(
    client: TowerClient,
    workspace: Workspace,
    run_fetch: RunFetch,
    wanted: frozenset[str],
    pool: Executor | None,
) -> FetchedRun:
    """Fetch the detail first: if it reports a final run, the tasks fetched after it are final too.

    The detail is skipped if no selected table needs it and the listing reports a final run. All
    tasks of a final run are fetched, because tasks before the bookmark may have received a cost
    since. A part that the server does not have is recorded as missing.
    """
    detail = _describe(client, workspace, run_fetch, wanted)
    run = detail.get("workflow") or {}
    responses = RunResponses(detail, workspace.id, run_fetch.starred)
    status = valid_status(run)
    complete = parse_timestamp(run.get("complete"))
    final = is_final(status, complete)
    known = TaskBookmark() if final else run_fetch.bookmark
    tasks, bookmark = TaskPageBuffer(responses.owner), known
    missing = PartReader(client, workspace, run_fetch.run_id)
    if "tasks" in wanted:
        lister = TaskLister(client, workspace, run_fetch.run_id, responses)
        found = missing.read(
            "tasks", lambda: lister.fetch_final(pool) if final else lister.fetch_open(known)
        )
        tasks, bookmark = found or (tasks, bookmark)
    if "process_metrics" in wanted:
        metrics = missing.read(
            "metrics", lambda: client.list_metrics(workspace.id, run_fetch.run_id)
        )
        responses = replace(responses, metrics=metrics or [])
    parts = tuple(missing.names)
    responses = replace(responses, tasks=tasks.pages, missing_parts=parts)
    submit = parse_timestamp(run.get("submit")) or run_fetch.submit
    loaded = LoadedRun(run_fetch, status, submit, bookmark, complete, parts, wanted & RUN_TABLES)
    return FetchedRun(responses, loaded, tuple(tasks.tables))


def _describe(
    client: TowerClient, workspace: Workspace, run_fetch: RunFetch, wanted: frozenset[str]
) -> Item:
    if wanted & DETAIL_TABLES or not is_final(run_fetch.status, run_fetch.complete):
        detail = client.get_run(workspace.id, run_fetch.run_id)
        return {**detail, "labels": valid_labels(detail.get("labels"))}
    complete = run_fetch.complete.isoformat() if run_fetch.complete else None
    run = {"id": run_fetch.run_id, "status": run_fetch.status, "complete": complete}
    return {"workflow": run, "labels": []}


class PartReader:
    """Reader of the parts of one run that records the parts which the server does not have.

    Attributes:
        names: Names of the missing parts.
    """

    def __init__(self, client: TowerClient, workspace: Workspace, run_id: str) -> None:
        self.names: list[str] = []
        self._client = client
        self._workspace = workspace
        self._run_id = run_id

    def read(self, name: str, fetch: Callable[[], T]) -> T | None:
        """Return the result of `fetch`, None if the server does not have this part of the run.

        A part of another type than the API gives counts as one that the server does not have.

        Raises:
            ApiError: The call failed in another way, or the run was deleted.
        """
        try:
            return self._read_twice(fetch)
        except (*_UNAVAILABLE, MalformedResponseError) as error:
            self._check_run()
            if isinstance(error, MalformedResponseError):
                self._report(name, error)
            self.names.append(name)
            return None

    def _read_twice(self, fetch: Callable[[], T]) -> T:
        """Repeat a denied call once, because gateways send occasional 404s (API fact 11)."""
        try:
            return fetch()
        except (ForbiddenError, NotFoundError, MalformedResponseError):
            return fetch()

    def _report(self, name: str, error: MalformedResponseError) -> None:
        problem = f"{{}} run(s) were loaded without their {name}, which are no list of objects"
        finding = Finding(self._workspace.name, problem, "The daily reconciliation retries.")
        self._client.findings.add(finding, f"{self._run_id} ({error})")

    def _check_run(self) -> None:
        """Raise an error if the run was deleted since its detail was fetched."""
        self._client.get_run(self._workspace.id, self._run_id)


@dataclass(frozen=True)
class TaskLister:
    """Lister of the tasks of one run, which checks their number against other counts.

    Attributes:
        client: Client of the platform.
        workspace: Workspace of the run.
        run_id: Id of the run.
        responses: Responses of the API about the run, without its tasks.
    """

    client: TowerClient
    workspace: Workspace
    run_id: str
    responses: RunResponses

    def fetch_final(self, pool: Executor | None) -> tuple[TaskPageBuffer, TaskBookmark]:
        """Fetch all tasks of a final run, prefetching pages in idle threads of the pool."""
        tally, make = TotalCheck(least=self._expected.least), self._make_buffer
        rows = self.client.list_tasks_into(self.workspace.id, self.run_id, make, tally, pool)
        self._check(rows, tally)
        ids = {task_id for task_id, _ in rows.keys}
        expected = self._expected
        check_counts(self.client.findings, self.workspace.name, self.run_id, len(ids), expected)
        return rows, advance_task_bookmark(enumerate(rows.keys), TaskBookmark())

    def fetch_open(self, known: TaskBookmark) -> tuple[TaskPageBuffer, TaskBookmark]:
        """Fetch the tasks of an open run outside the bookmark, and return the new bookmark.

        If tasks at the edges of the bookmark have moved, tasks were inserted or deleted before
        them, and all tasks are fetched.
        """
        tally = TotalCheck(least=self._expected.least, expected=self._expected.most or 0)
        make, workspace_id = self._make_buffer, self.workspace.id
        found = None
        if known.ranges:
            found = self.client.list_tasks_around(workspace_id, self.run_id, known.ranges, tally)
        if found is not None:
            rows = make()
            rows.append([task for _, task in found])
            offsets = [offset for offset, _ in found]
        else:
            known = TaskBookmark()
            rows = self.client.list_tasks_into(workspace_id, self.run_id, make, tally)
            offsets = [*range(len(rows.keys))]
        self._check(rows, tally)
        return rows, advance_task_bookmark(zip(offsets, rows.keys, strict=True), known)

    def _make_buffer(self) -> TaskPageBuffer:
        return TaskPageBuffer(self.responses.owner)

    @cached_property
    def _expected(self) -> TaskCounts:
        return count_expected(self.responses.detail)

    def _check(self, rows: TaskPageBuffer, tally: TotalCheck) -> None:
        findings, location = self.client.findings, self.workspace.name
        if rows.nulls:
            problem = "{} element(s) of task lists that are null were left out"
            findings.add(Finding(location, problem, _ADVICE), self.run_id, rows.nulls)
        check_tasks(findings, location, self.run_id, rows.keys, tally)
        if tally.repeated:
            rows.keep_last()


# Nextflow also counts retried and ignored tasks as failed. Every ended task was reported. Another
# task may have no record on the platform, or another state than in the progress of a killed run.
_ENDED = ("succeeded", "failed", "cached", "aborted")
_NOT_ENDED = ("pending", "submitted", "running")
_STATS = ("succeedCount", "failedCount", "cachedCount")

_ADVICE = (
    "All tasks that the server lists are stored. Compare the run with its page on the platform, "
    "and report the difference to the administrator of the server."
)


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
    ended, open_still = _read(load, _ENDED), _read(load, _NOT_ENDED)
    least, counts = sum(n for n in ended if n), [*ended, *open_still]
    return TaskCounts(
        least=least,
        most=None if None in counts else sum(n for n in counts if n),
        stats=sum(n for n in _read(_object(run).get("stats"), _STATS) if n),
    )


def check_tasks(
    findings: Findings,
    location: str,
    run_id: str,
    keys: Iterable[TaskBrief],
    tally: TotalCheck,
) -> None:
    """Report inconsistencies within the task list of a run.

    Args:
        findings: Collector of the findings.
        location: Name of the workspace.
        run_id: Id of the run.
        keys: Keys and status of the fetched tasks.
        tally: Counts of the pagination.
    """
    if not tally.is_counted:
        problem = "{} run(s) with another number of tasks than the total of their task list"
        example = f"{run_id}: {tally.end} tasks, total {tally.total}"
        findings.add(Finding(location, problem, _ADVICE), example)
    repeated = [key for key in tally.repeated if not isinstance(key, MissingKey)]
    if repeated:
        problem = "{} run(s) that list a task twice"
        task_id = repeated[0]
        findings.add(Finding(location, problem, "The later one is stored."), f"{run_id}, {task_id}")
    if any(isinstance(task_id, MissingKey) and task_id != NULL_KEY for task_id, _ in keys):
        problem = "{} run(s) with tasks without a usable taskId"
        advice = "They are stored with a negative task_id, which is made from their content."
        findings.add(Finding(location, problem, advice), run_id)


def check_counts(
    findings: Findings, location: str, run_id: str, tasks: int, expected: TaskCounts
) -> None:
    """Report a final run whose number of tasks contradicts its progress or statistics."""
    least, most = expected.least, expected.most
    if tasks < least or (most is not None and tasks > most):
        problem = "{} run(s) with another number of tasks than their progress counts"
        counted = f"{least} to {most}" if most and most > least else f"{least}"
        example = f"{run_id}: {tasks} tasks, progress {counted}"
        findings.add(Finding(location, problem, _ADVICE), example)
    elif tasks < expected.stats:
        problem = "{} run(s) with fewer tasks than their statistics count"
        example = f"{run_id}: {tasks} tasks, statistics {expected.stats}"
        findings.add(Finding(location, problem, _ADVICE), example)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(counts: object, names: Iterable[str]) -> list[int | None]:
    """Return counts by name, None if missing; negative counts of old clients become 0."""
    found = [_object(counts).get(name) for name in names]
    return [max(0, n) if type(n) is int else None for n in found]
