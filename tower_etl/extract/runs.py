"""Fetching one run: its description, tasks and metrics, as one parcel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
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
    {"workflows", "workflow_progress", "process_progress", "workflow_labels", "users", "launches"}
)  # what comes with the description of a run


def fetch_run(
    client: TowerClient,
    workspace: Workspace,
    run_fetch: RunFetch,
    wanted: frozenset[str],
    pool: Executor | None = None,
) -> FetchedRun | None:
    """Fetch a run whole, or None if it is not there any more.

    Args:
        client: Asks the platform.
        workspace: Where the run is.
        run_fetch: What is known of it.
        wanted: Tables to pay calls for.
        pool: Threads that help with a run of many tasks, as far as they are idle.

    Raises:
        ApiError: A call failed for good; nothing of the run is used then.
    """
    tables = (wanted - RUN_TABLES) | run_fetch.tables if run_fetch.tables else wanted
    try:
        return _fetch_parts(client, workspace, run_fetch, tables, pool)
    except (ForbiddenError, NotFoundError):
        # They say "no such thing" as well as "not for you" (API fact 11); the listing tells.
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
    """The description comes first: when it says that the run is final, all tasks that follow are.

    It is left out where no wanted table needs it and the listing says that the run is final.
    A run that is final now is fetched with all of its tasks: what was settled may have got its
    cost since. A run whose part the server does not have is fetched without that part.
    """
    described = _describe(client, workspace, run_fetch, wanted)
    run = described.get("workflow") or {}
    answers = RunResponses(described, workspace.id, run_fetch.starred)
    status = valid_status(run)
    complete = parse_timestamp(run.get("complete"))
    final = is_final(status, complete)
    known = TaskBookmark() if final else run_fetch.bookmark
    tasks, bookmark = TaskPageBuffer(answers.owner), known
    missing = PartReader(client, workspace, run_fetch.run_id)
    if "tasks" in wanted:
        lister = TaskLister(client, workspace, run_fetch.run_id, answers)
        found = missing.read(
            "tasks", lambda: lister.fetch_final(pool) if final else lister.fetch_open(known)
        )
        tasks, bookmark = found or (tasks, bookmark)
    if "process_metrics" in wanted:
        metrics = missing.read(
            "metrics", lambda: client.list_metrics(workspace.id, run_fetch.run_id)
        )
        answers = replace(answers, metrics=metrics or [])
    parts = tuple(missing.names)
    answers = replace(answers, tasks=tasks.pages, missing_parts=parts)
    submit = parse_timestamp(run.get("submit")) or run_fetch.submit
    loaded = LoadedRun(run_fetch, status, submit, bookmark, complete, parts, wanted & RUN_TABLES)
    return FetchedRun(answers, loaded, tuple(tasks.tables))


def _describe(
    client: TowerClient, workspace: Workspace, run_fetch: RunFetch, wanted: frozenset[str]
) -> Item:
    if wanted & DETAIL_TABLES or not is_final(run_fetch.status, run_fetch.complete):
        described = client.get_run(workspace.id, run_fetch.run_id)
        return {**described, "labels": valid_labels(described.get("labels"))}
    complete = run_fetch.complete.isoformat() if run_fetch.complete else None
    run = {"id": run_fetch.run_id, "status": run_fetch.status, "complete": complete}
    return {"workflow": run, "labels": []}


class PartReader:
    """Reads the parts of one run, and notes those that the server does not have.

    Attributes:
        names: Names of these parts.
    """

    def __init__(self, client: TowerClient, workspace: Workspace, run_id: str) -> None:
        self.names: list[str] = []
        self._client = client
        self._workspace = workspace
        self._run_id = run_id

    def read(self, name: str, fetch: Callable[[], T]) -> T | None:
        """Return what `fetch` gives, None if the server does not have this part of the run.

        A part of another type than the API gives counts as one that the server does not have.

        Raises:
            ApiError: The call failed in another way, or the run itself is gone.
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
        """Try a refused call again: gateways send a 404 now and then as well (API fact 11)."""
        try:
            return fetch()
        except (ForbiddenError, NotFoundError, MalformedResponseError):
            return fetch()

    def _report(self, name: str, error: MalformedResponseError) -> None:
        problem = f"{{}} run(s) were loaded without their {name}, which are no list of objects"
        finding = Finding(self._workspace.name, problem, "The daily reconciliation retries.")
        self._client.findings.add(finding, f"{self._run_id} ({error})")

    def _check_run(self) -> None:
        """Raise if the run was deleted since it was described."""
        self._client.get_run(self._workspace.id, self._run_id)


@dataclass(frozen=True)
class TaskLister:
    """Fetches the tasks of one run, and compares their number with what else the server says.

    Attributes:
        client: Asks the platform.
        workspace: Where the run is.
        run_id: The run.
        answers: What the API says of the run, its tasks excepted.
    """

    client: TowerClient
    workspace: Workspace
    run_id: str
    answers: RunResponses

    def fetch_final(self, pool: Executor | None) -> tuple[TaskPageBuffer, TaskBookmark]:
        """Fetch all tasks of a run that is final, with the help of idle threads."""
        tally, make = (
            TotalCheck(least=self._expected.least),
            partial(TaskPageBuffer, self.answers.owner),
        )
        place = self.workspace.id
        if pool:
            rows = self.client.list_final_tasks_into(place, self.run_id, make, pool, tally)
        else:
            rows = self.client.list_tasks_into(place, self.run_id, make, tally)
        self._check(rows, tally)
        ids = {task_id for task_id, _ in rows.keys}
        expected = self._expected
        check_counts(self.client.findings, self.workspace.name, self.run_id, len(ids), expected)
        return rows, advance_task_bookmark(enumerate(rows.keys), TaskBookmark())

    def fetch_open(self, known: TaskBookmark) -> tuple[TaskPageBuffer, TaskBookmark]:
        """Fetch the tasks of an open run that are not known to be settled, and what is settled now.

        Where settled tasks are not where they were, others came or went before them, and all tasks
        are fetched.
        """
        tally = TotalCheck(least=self._expected.least)
        make, place = partial(TaskPageBuffer, self.answers.owner), self.workspace.id
        found = None
        if known.ranges:
            found = self.client.list_tasks_around_into(place, self.run_id, known.ranges, tally)
        if found is not None:
            rows = make()
            rows.append([task for _, task in found])
            offsets = [offset for offset, _ in found]
        else:
            known, rows = (
                TaskBookmark(),
                self.client.list_tasks_into(place, self.run_id, make, tally),
            )
            offsets = [*range(len(rows.keys))]
        self._check(rows, tally)
        return rows, advance_task_bookmark(zip(offsets, rows.keys, strict=True), known)

    @cached_property
    def _expected(self) -> TaskCounts:
        return count_expected(self.answers.detail)

    def _check(self, rows: TaskPageBuffer, tally: TotalCheck) -> None:
        findings, place = self.client.findings, self.workspace.name
        if rows.nulls:
            problem = "{} element(s) of task lists that are null were left out"
            findings.add(Finding(place, problem, _ADVICE), self.run_id, rows.nulls)
        check_tasks(findings, place, self.run_id, rows.keys, tally)
        if tally.repeated:
            rows.keep_last()


# Nextflow counts a retried and an ignored task as failed, too. Every task that ended was reported;
# one that did not may have no record on the platform, or another state there than in the progress
# of a run that was killed.
_ENDED = ("succeeded", "failed", "cached", "aborted")
_NOT_ENDED = ("pending", "submitted", "running")
_STATS = ("succeedCount", "failedCount", "cachedCount")

_ADVICE = (
    "All tasks that the server lists are stored. Compare the run with its page on the platform, "
    "and report the difference to the administrator of the server."
)


@dataclass(frozen=True)
class TaskCounts:
    """How many tasks a run has by its progress and by its statistics.

    Attributes:
        least: At least so many by its progress.
        most: At most so many by its progress, None where it does not count every state.
        stats: At least so many by its statistics.
    """

    least: int = 0
    most: int | None = None
    stats: int = 0


def count_expected(described: Mapping[str, Any]) -> TaskCounts:
    """Read the counts of tasks in the description of a run."""
    progress, run = described.get("progress"), described.get("workflow")
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
    place: str,
    run_id: str,
    briefs: Iterable[TaskBrief],
    tally: TotalCheck,
) -> None:
    """Report what is odd in the task list of a run by itself.

    Args:
        findings: Told what is odd.
        place: Name of the workspace.
        run_id: The run.
        briefs: Its tasks, as far as they were fetched.
        tally: What the walk found out.
    """
    if not tally.is_counted:
        problem = "{} run(s) with another number of tasks than the total of their task list"
        example = f"{run_id}: {tally.end} tasks, total {tally.total}"
        findings.add(Finding(place, problem, _ADVICE), example)
    repeated = [key for key in tally.repeated if not isinstance(key, MissingKey)]
    if repeated:
        problem = "{} run(s) that list a task twice"
        task_id = repeated[0]
        findings.add(Finding(place, problem, "The later one is stored."), f"{run_id}, {task_id}")
    if any(isinstance(task_id, MissingKey) and task_id != NULL_KEY for task_id, _ in briefs):
        problem = "{} run(s) with tasks without a usable taskId"
        advice = "They are stored with a negative task_id, which is made from their content."
        findings.add(Finding(place, problem, advice), run_id)


def check_counts(
    findings: Findings, place: str, run_id: str, tasks: int, expected: TaskCounts
) -> None:
    """Report a final run whose number of tasks contradicts its progress or its statistics."""
    least, most = expected.least, expected.most
    if tasks < least or (most is not None and tasks > most):
        problem = "{} run(s) with another number of tasks than their progress counts"
        counted = f"{least} to {most}" if most and most > least else f"{least}"
        example = f"{run_id}: {tasks} tasks, progress {counted}"
        findings.add(Finding(place, problem, _ADVICE), example)
    elif tasks < expected.stats:
        problem = "{} run(s) with fewer tasks than their statistics count"
        example = f"{run_id}: {tasks} tasks, statistics {expected.stats}"
        findings.add(Finding(place, problem, _ADVICE), example)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(counts: object, names: Iterable[str]) -> list[int | None]:
    """Return counts by name, None where one is missing; below zero, as old clients count, is 0."""
    found = [_object(counts).get(name) for name in names]
    return [max(0, n) if type(n) is int else None for n in found]
