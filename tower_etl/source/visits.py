"""Fetching one run: its description, tasks and metrics, as one parcel."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tower_etl.errors import ForbiddenError, NotFoundError
from tower_etl.source.listing import parse_time, sound_labels, sound_status
from tower_etl.source.parcels import Parcel, TaskRows, brief_tasks
from tower_etl.sync import FINAL_STATUSES, Landed, Settled, is_undisturbed, measure_settled
from tower_etl.tables import RunAnswers

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tower_etl.api import TowerClient
    from tower_etl.source.preflight import Workspace
    from tower_etl.sync import Visit


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
    cost since.
    """
    described = client.describe_run(workspace.id, visit.run_id)
    described = {**described, "labels": sound_labels(described.get("labels"))}
    run = described.get("workflow") or {}
    answers = RunAnswers(described, workspace.id, visit.starred)
    status = sound_status(run)
    final = status in FINAL_STATUSES
    known = Settled() if final else visit.settled
    tasks, settled = TaskRows(answers.owner), known
    if "tasks" in wanted:
        tasks, settled = _fetch_tasks(client, answers, visit.run_id, known, pool if final else None)
    if "process_metrics" in wanted:
        answers = replace(answers, metrics=client.list_metrics(workspace.id, visit.run_id))
    submit = parse_time(run.get("submit")) or visit.submit
    landed = Landed(visit, status, submit, settled)
    return Parcel(replace(answers, tasks=tasks.pages), landed, tuple(tasks.built))


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
