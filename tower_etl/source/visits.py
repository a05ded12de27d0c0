"""Fetching one run: its description, tasks and metrics, as one parcel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from tower_etl.api import Tally
from tower_etl.errors import AbsentListError, BadRequestError, ForbiddenError, NotFoundError
from tower_etl.source.counts import check_counts, check_tasks, count_expected
from tower_etl.source.listing import is_listed, sound_labels, sound_status
from tower_etl.source.parcels import Parcel, TaskRows
from tower_etl.sync import RUN_TABLES, Landed, Settled, is_final, measure_settled
from tower_etl.tables import RunAnswers, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from tower_etl.api import Item, TowerClient
    from tower_etl.source.counts import TaskCounts
    from tower_etl.source.preflight import Workspace
    from tower_etl.sync import Visit

T = TypeVar("T")

DETAIL_TABLES = frozenset(
    {"workflows", "workflow_progress", "process_progress", "workflow_labels", "users", "launches"}
)  # what comes with the description of a run


def fetch_run(
    client: TowerClient,
    workspace: Workspace,
    visit: Visit,
    wanted: frozenset[str],
    pool: Executor | None = None,
) -> Parcel | None:
    """Fetch a run whole, or None if it is not there any more.

    Args:
        client: Asks the platform.
        workspace: Where the run is.
        visit: What is known of it.
        wanted: Tables to pay calls for.
        pool: Threads that help with a run of many tasks, as far as they are idle.

    Raises:
        ApiError: A call failed for good; nothing of the run is used then.
    """
    tables = (wanted - RUN_TABLES) | visit.tables if visit.tables else wanted
    try:
        return _fetch_parts(client, workspace, visit, tables, pool)
    except (ForbiddenError, NotFoundError):
        # They say "no such thing" as well as "not for you" (API fact 11); the listing tells.
        if is_listed(client, workspace, visit.run_id, visit.submit):
            raise
        return None


def _fetch_parts(
    client: TowerClient,
    workspace: Workspace,
    visit: Visit,
    wanted: frozenset[str],
    pool: Executor | None,
) -> Parcel:
    """The description comes first: when it says that the run is final, all tasks that follow are.

    It is left out where no wanted table needs it and the listing says that the run is final.
    A run that is final now is fetched with all of its tasks: what was settled may have got its
    cost since. A run whose part the server does not have is fetched without that part.
    """
    described = _describe(client, workspace, visit, wanted)
    run = described.get("workflow") or {}
    answers = RunAnswers(described, workspace.id, visit.starred)
    status = sound_status(run)
    complete = parse_timestamp(run.get("complete"))
    final = is_final(status, complete)
    known = Settled() if final else visit.settled
    tasks, settled = TaskRows(answers.owner), known
    missing = MissingParts(client, workspace, visit.run_id)
    if "tasks" in wanted:
        lister = TaskLister(client, workspace, visit.run_id, answers)
        found = missing.read(
            "tasks", lambda: lister.fetch_final(pool) if final else lister.fetch_open(known)
        )
        tasks, settled = found or (tasks, settled)
    if "process_metrics" in wanted:
        metrics = missing.read("metrics", lambda: client.list_metrics(workspace.id, visit.run_id))
        answers = replace(answers, metrics=metrics or [])
    parts = tuple(missing.names)
    answers = replace(answers, tasks=tasks.pages, missing_parts=parts)
    submit = parse_timestamp(run.get("submit")) or visit.submit
    landed = Landed(visit, status, submit, settled, complete, parts, wanted & RUN_TABLES)
    return Parcel(answers, landed, tuple(tasks.built))


def _describe(
    client: TowerClient, workspace: Workspace, visit: Visit, wanted: frozenset[str]
) -> Item:
    if wanted & DETAIL_TABLES or not is_final(visit.status, visit.complete):
        described = client.describe_run(workspace.id, visit.run_id)
        return {**described, "labels": sound_labels(described.get("labels"))}
    complete = visit.complete.isoformat() if visit.complete else None
    run = {"id": visit.run_id, "status": visit.status, "complete": complete}
    return {"workflow": run, "labels": []}


class MissingParts:
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

        Raises:
            ApiError: The call failed in another way, or the run itself is gone.
        """
        try:
            return self._read_twice(fetch)
        except (AbsentListError, BadRequestError, ForbiddenError, NotFoundError):
            self._check_run()
            self.names.append(name)
            return None

    def _read_twice(self, fetch: Callable[[], T]) -> T:
        """Try a refused call again: gateways send a 404 now and then as well (API fact 11)."""
        try:
            return fetch()
        except (ForbiddenError, NotFoundError):
            return fetch()

    def _check_run(self) -> None:
        """Raise if the run was deleted since it was described."""
        self._client.describe_run(self._workspace.id, self._run_id)


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
    answers: RunAnswers

    def fetch_final(self, pool: Executor | None) -> tuple[TaskRows, Settled]:
        """Fetch all tasks of a run that is final, with the help of idle threads."""
        tally, make = Tally(least=self._expected.least), partial(TaskRows, self.answers.owner)
        place = self.workspace.id
        if pool:
            rows = self.client.walk_final_tasks(place, self.run_id, make, pool, tally)
        else:
            rows = self.client.walk_tasks(place, self.run_id, make, tally)
        self._check(rows, tally)
        ids = {task_id for task_id, _ in rows.briefs}
        expected = self._expected
        check_counts(self.client.findings, self.workspace.name, self.run_id, len(ids), expected)
        return rows, measure_settled(enumerate(rows.briefs), Settled())

    def fetch_open(self, known: Settled) -> tuple[TaskRows, Settled]:
        """Fetch the tasks of an open run that are not known to be settled, and what is settled now.

        Where settled tasks are not where they were, others came or went before them, and all tasks
        are fetched.
        """
        tally = Tally(least=self._expected.least)
        make, place = partial(TaskRows, self.answers.owner), self.workspace.id
        found = None
        if known.ranges:
            found = self.client.walk_tasks_around(place, self.run_id, known.ranges, tally)
        if found is not None:
            rows = make()
            rows.append([task for _, task in found])
            offsets = [offset for offset, _ in found]
        else:
            known, rows = Settled(), self.client.walk_tasks(place, self.run_id, make, tally)
            offsets = [*range(len(rows.briefs))]
        self._check(rows, tally)
        return rows, measure_settled(zip(offsets, rows.briefs, strict=True), known)

    @cached_property
    def _expected(self) -> TaskCounts:
        return count_expected(self.answers.described)

    def _check(self, rows: TaskRows, tally: Tally) -> None:
        findings, place = self.client.findings, self.workspace.name
        check_tasks(findings, place, self.run_id, rows.briefs, tally)
        if tally.repeated:
            rows.keep_last()
