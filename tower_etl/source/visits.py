"""Fetching one run: its description, tasks and metrics, as one parcel."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tower_etl.errors import AbsentListError, BadRequestError, ForbiddenError, NotFoundError
from tower_etl.source.listing import sound_labels, sound_status
from tower_etl.source.parcels import Parcel, TaskRows, brief_tasks
from tower_etl.sync import Landed, Settled, is_final, is_undisturbed, measure_settled
from tower_etl.tables import RunAnswers, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from tower_etl.api import TowerClient
    from tower_etl.source.preflight import Workspace
    from tower_etl.sync import Visit

T = TypeVar("T")


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
    try:
        return _fetch_parts(client, workspace, visit, wanted, pool)
    except (ForbiddenError, NotFoundError):
        # They say "no such thing" as well as "not for you" (API fact 11); the listing tells.
        if client.is_listed(workspace.id, visit.run_id):
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

    A run that is final now is fetched with all of its tasks: what was settled may have got its
    cost since. A run whose part the server does not have is fetched without that part.
    """
    described = client.describe_run(workspace.id, visit.run_id)
    described = {**described, "labels": sound_labels(described.get("labels"))}
    run = described.get("workflow") or {}
    answers = RunAnswers(described, workspace.id, visit.starred)
    status = sound_status(run)
    complete = parse_timestamp(run.get("complete"))
    final = is_final(status, complete)
    known = Settled() if final else visit.settled
    tasks, settled = TaskRows(answers.owner), known
    missing = MissingParts(client, workspace, visit.run_id)
    if "tasks" in wanted:
        helpers = pool if final else None
        found = missing.read(
            "tasks", lambda: _fetch_tasks(client, answers, visit.run_id, known, helpers)
        )
        tasks, settled = found or (tasks, settled)
    if "process_metrics" in wanted:
        metrics = missing.read("metrics", lambda: client.list_metrics(workspace.id, visit.run_id))
        answers = replace(answers, metrics=metrics or [])
    parts = tuple(missing.names)
    answers = replace(answers, tasks=tasks.pages, missing_parts=parts)
    submit = parse_timestamp(run.get("submit")) or visit.submit
    landed = Landed(visit, status, submit, settled, complete, parts)
    return Parcel(answers, landed, tuple(tasks.built))


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


def _fetch_tasks(
    client: TowerClient,
    answers: RunAnswers,
    run_id: str,
    known: Settled,
    pool: Executor | None,
) -> tuple[TaskRows, Settled]:
    """Tasks that are not known to be settled, and how many are settled now.

    The walk starts with the last settled task. Where that is not in its place, others came or went
    before it, and all are fetched.
    """
    place = answers.workspace_id
    if known.tasks:
        tasks = client.list_tasks(place, run_id, known.tasks - 1)
        if is_undisturbed(brief_tasks(tasks), known):
            rest = TaskRows(answers.owner)
            rest.append(tasks[1:])
            return rest, measure_settled(rest.briefs, known)
    make = partial(TaskRows, answers.owner)
    if pool:
        whole = client.walk_final_tasks(place, run_id, make, pool)
    else:
        whole = client.walk_tasks(place, run_id, make)
    return whole, measure_settled(whole.briefs, Settled())
