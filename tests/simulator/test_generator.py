"""The seeded world: the same every time, alive on the clock, and like real ones."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tower_etl.simulator import SimClock, build_world
from tower_etl.simulator.clock import parse_timestamp
from tower_etl.simulator.generator.runs import GeneratedRun, TaskCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.simulator import World
    from tower_etl.simulator.runs import Run

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN_STATUSES = {"SUBMITTED", "RUNNING", "UNKNOWN"}

_DIGEST = """
import hashlib, orjson
from datetime import UTC, datetime
from tower_etl.simulator import SimClock, build_world
world = build_world(
    7, clock=SimClock.frozen_at(datetime(2026, 3, 1, 12, tzinfo=UTC)),
    runs=60, days=20, mean_tasks=30,
)
digest = hashlib.sha256()
for key in sorted(world.workspaces):
    for run in world.iter_runs(key):
        digest.update(orjson.dumps([world.describe(run.id), world.tasks(run.id)]))
print(digest.hexdigest())
"""


def _iter_runs(world: World) -> Iterator[Run]:
    for key in sorted(world.workspaces):
        yield from world.iter_runs(key)


def _generated(run: Run) -> GeneratedRun:
    generated = run.at.__self__  # type: ignore[attr-defined] # a bound method
    assert isinstance(generated, GeneratedRun)
    return generated


def _digest(world: World) -> str:
    digest = hashlib.sha256()
    for run in _iter_runs(world):
        digest.update(orjson.dumps([world.describe(run.id), world.tasks(run.id)]))
    return digest.hexdigest()


@pytest.fixture(scope="module")
def big() -> World:
    """A world whose distributions can be measured."""
    return build_world(1, clock=SimClock.frozen_at(NOON), runs=300, mean_tasks=50)


@pytest.fixture(scope="module")
def tasks(big: World) -> list[dict[str, Any]]:
    """All its tasks."""
    return [task for run in _iter_runs(big) for task in big.tasks(run.id)]


def test_the_same_seed_gives_the_same_bytes_in_any_process(seeded: World) -> None:
    """No hash of a string, no clock, no machine has a say."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            capture_output=True,
            check=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }

    assert {_digest(seeded)} == digests


def test_another_seed_gives_another_world() -> None:
    """Ids differ, and so does everything else."""
    first, second = (build_world(seed, clock=SimClock.frozen_at(NOON)) for seed in (1, 2))

    assert not first.run_ids() & second.run_ids()


def test_what_was_forgotten_comes_back_the_same(seeded: World) -> None:
    """Tasks that left the cache are drawn again, equal to the byte."""
    before = _digest(seeded)
    for run in _iter_runs(seeded):
        _generated(run).cache = TaskCache(max_tasks=1)

    assert before == _digest(seeded)


def test_the_cache_of_tasks_is_bounded(big: World) -> None:
    """A world of any size holds no more tasks than the cache takes."""
    cache = TaskCache(max_tasks=500)
    for run in _iter_runs(big):
        cache.get(_generated(run).spec)

    kept = sum(len(tasks.rows) for tasks in cache._entries.values())
    assert kept == cache._size
    assert kept <= 500 or len(cache._entries) == 1


def test_as_many_runs_as_planned_and_as_many_open(big: World) -> None:
    """Of the runs before now five are open: one waits, one is silent, one is old."""
    runs = list(_iter_runs(big))
    open_runs = [run for run in runs if run.at(big.now_s()).status in OPEN_STATUSES]

    assert len(runs) == 300
    assert Counter(run.at(big.now_s()).status for run in open_runs) == {
        "SUBMITTED": 1,
        "RUNNING": 3,
        "UNKNOWN": 1,
    }
    assert big.now_s() - min(run.submit_s for run in open_runs) > 8 * 86_400


def test_the_clock_ends_open_runs_and_brings_new_ones() -> None:
    """A day later the open runs are final, and others were submitted."""
    clock = SimClock.frozen_at(NOON)
    world = build_world(1, clock=clock, runs=300, mean_tasks=30)
    before = {run.id: run.at(world.now_s()).status for run in _iter_runs(world)}
    was_open = [run for run, status in before.items() if status in OPEN_STATUSES]

    clock.advance(86_400)

    after = {run.id: run.at(world.now_s()).status for run in _iter_runs(world)}
    assert not OPEN_STATUSES & {after[run] for run in was_open}
    assert 3 <= len(after) - len(before) <= 25


def test_a_final_run_never_changes() -> None:
    """What was final before is the same a month later."""
    clock = SimClock.frozen_at(NOON)
    world = build_world(3, clock=clock, runs=30, mean_tasks=20)
    final = [r.id for r in _iter_runs(world) if r.at(world.now_s()).status not in OPEN_STATUSES]
    before = [(world.describe(run), world.tasks(run)) for run in final]

    clock.advance(30 * 86_400)

    assert before == [(world.describe(run), world.tasks(run)) for run in final]


def _watch(world: World, clock: SimClock, run_id: str) -> Iterator[dict[str, Any]]:
    for _ in range(400):
        answer = world.describe(run_id)
        yield answer | {"tasks": world.tasks(run_id)}
        if answer["workflow"]["status"] not in OPEN_STATUSES:
            return
        clock.advance(240)


def test_an_open_run_unfolds_task_by_task() -> None:
    """Tasks appear, start and end; none goes back; counts and cost follow them."""
    clock = SimClock.frozen_at(NOON)
    world = build_world(1, clock=clock, runs=20, mean_tasks=80)
    waiting = next(r.id for r in _iter_runs(world) if r.at(world.now_s()).status == "SUBMITTED")
    rank = {"NEW": 0, "SUBMITTED": 1, "RUNNING": 2, "COMPLETED": 3, "FAILED": 3, "ABORTED": 3}
    seen: dict[int, int] = {}
    statuses, kinds = [], set()
    for answer in _watch(world, clock, waiting):
        ranks = {task["id"]: rank[task["status"]] for task in answer["tasks"]}
        assert all(ranks[task] >= seen[task] for task in seen)
        seen = ranks
        load = answer["progress"]["workflowProgress"]
        counted = sum(
            load[name]
            for name in ("pending", "submitted", "running", "succeeded", "failed", "aborted")
        )
        assert len(answer["tasks"]) == counted
        statuses.append(answer["workflow"]["status"])
        kinds |= {task["status"] for task in answer["tasks"]}

    assert list(dict.fromkeys(statuses)) == ["SUBMITTED", "RUNNING", "SUCCEEDED"]
    assert kinds >= {"SUBMITTED", "RUNNING", "COMPLETED"}


def test_a_submitted_run_is_bare(big: World) -> None:
    """No start, statistics, parameters, manifest, nextflow or tasks yet."""
    run = next(r.id for r in _iter_runs(big) if r.at(big.now_s()).status == "SUBMITTED")
    workflow = big.describe(run)["workflow"]

    assert [workflow[name] for name in ("start", "stats", "params", "manifest", "nextflow")] == [
        None
    ] * 5
    assert big.tasks(run) == []


def test_a_silent_run_is_heard_of_again() -> None:
    """UNKNOWN after its heartbeat is lost, RUNNING when it is found; nothing moves between."""
    clock = SimClock.frozen_at(NOON)
    world = build_world(1, clock=clock, runs=300, mean_tasks=50)
    run = next(r.id for r in _iter_runs(world) if r.at(world.now_s()).status == "UNKNOWN")
    before = (world.describe(run), world.tasks(run))
    clock.advance(1200)
    during = (world.describe(run), world.tasks(run))
    statuses = [answer["workflow"]["status"] for answer in _watch(world, clock, run)]

    assert before == during
    assert next(iter(dict.fromkeys(statuses))) == "UNKNOWN"
    assert statuses[-1] == "SUCCEEDED"


def test_a_resumed_run_takes_tasks_from_the_cache(big: World) -> None:
    """Same session; cached tasks keep times and cost of their first execution."""
    runs = {run.id: run.at(big.now_s()).workflow for run in _iter_runs(big)}
    resumed = [w for w in runs.values() if w["resume"] and w["stats"]["cachedCount"]]
    child = resumed[0]
    parent = next(
        w for w in runs.values() if w["sessionId"] == child["sessionId"] and not w["resume"]
    )
    originals = {task["hash"]: task for task in big.tasks(parent["id"])}
    cached = [task for task in big.tasks(child["id"]) if task["status"] == "CACHED"]

    assert len(resumed) > 5
    for task in cached:
        original = originals[task["hash"]]
        for name in ("submit", "start", "complete", "cost", "realtime", "workdir"):
            assert original[name] == task[name]
        assert original["id"] != task["id"]
        assert task["complete"] < child["start"] <= task["dateCreated"]


def test_every_task_lies_within_its_run(big: World) -> None:
    """Submission, start and end come in this order, between start and end of the run."""
    for run in _iter_runs(big):
        workflow = run.at(big.now_s()).workflow
        for task in big.tasks(run.id):
            if task["status"] == "CACHED" or task["complete"] is None:
                continue
            assert workflow["start"] <= task["submit"] <= task["start"] < task["complete"]
            assert workflow["complete"] is None or task["complete"] <= workflow["complete"]
            lasted_ms = 1000 * (parse_timestamp(task["complete"]) - parse_timestamp(task["start"]))
            assert 0 < task["realtime"] <= lasted_ms


def test_durations_are_heavy_tailed(tasks: list[dict[str, Any]]) -> None:
    """The mean lies well above the median, the longest far above both."""
    realtimes = [task["realtime"] for task in tasks if task["status"] == "COMPLETED"]

    assert mean(realtimes) > 1.8 * median(realtimes)
    assert max(realtimes) > 20 * median(realtimes)


def test_whatever_ran_took_some_time() -> None:
    """And cost something, also an attempt that was taken away at once, as in the demo's world."""
    world = build_world(1, clock=SimClock.frozen_at(NOON), runs=110, open_runs=6, days=12)
    tasks = [task for run in _iter_runs(world) for task in world.tasks(run.id)]
    assert min(task["realtime"] for task in tasks if task["realtime"] is not None) > 0
    assert min(task["cost"] for task in tasks if task["cost"] is not None) > 0


def test_memory_is_asked_for_in_excess(tasks: list[dict[str, Any]]) -> None:
    """Half of the tasks use less than a fifth of their memory, none uses more than all of it."""
    ratios = [task["memory"] / task["peakRss"] for task in tasks if task["peakRss"]]

    assert median(ratios) > 5
    assert min(ratios) >= 1
    assert max(ratios) > 50


def test_some_runs_fail_and_say_why(big: World) -> None:
    """About one run in six fails, with a message, a report, and a task to blame."""
    final = [
        run.at(big.now_s()).workflow
        for run in _iter_runs(big)
        if run.at(big.now_s()).status not in OPEN_STATUSES
    ]
    failed = [workflow for workflow in final if workflow["status"] == "FAILED"]

    assert 0.05 < len(failed) / len(final) < 0.25
    for workflow in failed:
        blamed = [task for task in big.tasks(workflow["id"]) if task["errorAction"] == "TERMINATE"]
        assert [workflow["errorMessage"]] == [task["errorMessage"] for task in blamed]
        assert workflow["errorMessage"] in workflow["errorReport"]


def test_tasks_are_retried_and_interrupted(tasks: list[dict[str, Any]]) -> None:
    """Second attempts follow failures with exit 137 or 143, some by a spot interruption."""
    retried = [task for task in tasks if task["errorAction"] == "RETRY"]

    assert 0.01 < len(retried) / len(tasks) < 0.08
    assert {137, 143} == {task["exit"] for task in retried}
    assert {"FAILED"} == {task["status"] for task in retried}
    assert len(retried) <= sum(task["attempt"] == 2 for task in tasks)
    assert any(task["numSpotInterruptions"] for task in retried)
    assert any(task["numSpotInterruptions"] and task["status"] == "COMPLETED" for task in tasks)


def test_costs_follow_time_and_request(tasks: list[dict[str, Any]]) -> None:
    """A cluster of one's own has no cost; elsewhere spot is cheaper for the same hours."""
    hourly: dict[str, list[float]] = {"spot": [], "standard": []}
    for task in tasks:
        if task["executor"] == "slurm":
            assert (task["cost"], task["priceModel"], task["machineType"]) == (None, None, None)
        elif task["status"] == "COMPLETED":
            hourly[task["priceModel"]].append(task["cost"] / task["realtime"] / task["cpus"])

    assert median(hourly["spot"]) < median(hourly["standard"])


def test_a_large_world_is_made_at_once() -> None:
    """Five thousand runs of two hundred tasks are decided without making one task."""
    world = build_world(1, clock=SimClock.frozen_at(NOON), runs=5000, days=365, mean_tasks=200)
    run = next(iter(_iter_runs(world)))

    assert len(world.run_ids()) == 10_000
    assert _generated(run).cache._size == 0


@pytest.mark.parametrize("wrong", [{"runs": 2, "open_runs": 3}, {"workspaces": 0}, {"days": 0}])
def test_plans_that_do_not_add_up_are_refused(wrong: dict[str, Any]) -> None:
    """More open runs than runs, or no place to put them."""
    with pytest.raises(ValueError, match="at least one of everything"):
        build_world(1, **wrong)
