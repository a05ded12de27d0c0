"""The seeded world: the same every time, alive on the clock, and like real ones."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import product
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tower_etl.simulator import SimClock, build_world
from tower_etl.simulator.clock import parse_timestamp
from tower_etl.simulator.generator.catalog import PIPELINES, PLATFORMS
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


@pytest.mark.slow
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
    world = build_world(2, clock=clock, runs=20, mean_tasks=80)
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


def _elapsed_ms(task: dict[str, Any]) -> float:
    return 1000 * (parse_timestamp(task["complete"]) - parse_timestamp(task["start"]))


def _never_ran(task: dict[str, Any]) -> bool:
    return task["status"] == "FAILED" and not task["realtime"]


def test_every_task_lies_within_its_run(big: World) -> None:
    """Submission, start and end come in this order, between start and end of the run."""
    for run in _iter_runs(big):
        workflow = run.at(big.now_s()).workflow
        for task in big.tasks(run.id):
            if task["status"] == "CACHED" or task["complete"] is None:
                continue
            assert workflow["start"] <= task["submit"] <= task["start"] <= task["complete"]
            assert workflow["complete"] is None or task["complete"] <= workflow["complete"]
            assert _never_ran(task) or 0 < task["realtime"] <= _elapsed_ms(task)


def test_progress_adds_up_to_the_tasks(big: World) -> None:
    """CPU time is CPUs times the time on the machine, cached tasks included; so are costs."""
    for run in _iter_runs(big):
        tasks = [task for task in big.tasks(run.id) if task["start"] and task["complete"]]
        load = big.progress(run.id)["workflowProgress"]
        expected = {
            "cpuTime": sum(task["cpus"] * _elapsed_ms(task) for task in tasks),
            "cost": sum(task["cost"] or 0 for task in tasks),
            "succeeded": sum(task["status"] == "COMPLETED" for task in tasks),
            "failed": sum(task["status"] == "FAILED" for task in tasks),
            "cached": sum(task["status"] == "CACHED" for task in tasks),
        }
        assert {name: load[name] or 0 for name in expected} == pytest.approx(expected, rel=1e-3)


def test_staging_takes_a_share_of_the_run_time_and_less_with_fusion(big: World) -> None:
    """It is skewed, rarely twice the run time, and short where inputs are streamed."""
    shares: dict[bool, list[float]] = {True: [], False: []}
    for run in _iter_runs(big):
        fusion = (run.at(big.now_s()).workflow["fusion"] or {}).get("enabled", False)
        shares[fusion] += [
            _elapsed_ms(task) / task["realtime"] - 1
            for task in big.tasks(run.id)
            if task["status"] == "COMPLETED" and task["realtime"] > 60_000
        ]

    assert 0 < median(shares[True]) < 0.08
    assert 0.2 < median(shares[False]) < 0.3
    assert mean(shares[False]) > 1.2 * median(shares[False])
    assert 1.5 < max(shares[False]) < 2.1


def test_durations_are_heavy_tailed(tasks: list[dict[str, Any]]) -> None:
    """The mean lies well above the median, the longest far above both."""
    realtimes = [task["realtime"] for task in tasks if task["status"] == "COMPLETED"]

    assert mean(realtimes) > 1.8 * median(realtimes)
    assert max(realtimes) > 20 * median(realtimes)


def test_whatever_ran_took_some_time_and_cost_something() -> None:
    """Also an attempt that was taken away at once, as in the demo's world."""
    world = build_world(1, clock=SimClock.frozen_at(NOON), runs=110, open_runs=6, days=12)
    tasks = [task for run in _iter_runs(world) for task in world.tasks(run.id)]
    ran = [task for task in tasks if task["realtime"] is not None and not _never_ran(task)]
    assert min(task["realtime"] for task in ran) > 0
    assert min(task["cost"] for task in ran if task["cost"] is not None) > 0


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
    """Second attempts follow failures, on spot machines mostly interruptions."""
    retried = [task for task in tasks if task["errorAction"] == "RETRY"]

    assert 0.02 < len(retried) / len(tasks) < 0.1
    assert {104, 137, 143, None} == {task["exit"] for task in retried}
    assert {"FAILED"} == {task["status"] for task in retried}
    assert len(retried) <= sum(task["attempt"] == 2 for task in tasks)
    assert any(task["numSpotInterruptions"] and task["status"] == "COMPLETED" for task in tasks)


def test_some_spot_machines_are_lost_before_their_task_runs(tasks: list[dict[str, Any]]) -> None:
    """Such a task has no exit status, no run time and no cost, and is retried."""
    lost = [task for task in tasks if _never_ran(task)]

    assert len(lost) > 10
    for task in lost:
        assert (task["start"], task["exit"], task["cost"]) == (task["complete"], None, 0.0)
        assert (task["errorAction"], task["numSpotInterruptions"]) == ("RETRY", 1)


def test_a_retry_doubles_the_request_and_uses_no_more(tasks: list[dict[str, Any]]) -> None:
    """Also after a spot loss; only after running out of memory a task needs more than it had."""
    first = {task["process"]: task for task in tasks if task["attempt"] == 1}
    retried = [task for task in tasks if task["attempt"] == 2]
    requested = [(first[task["process"]], task) for task in retried if task["process"] in first]

    for before, after in requested:
        assert after["memory"] == 2 * before["memory"]
        assert after["cpus"] == max(before["cpus"], min(2 * before["cpus"], 32))
    grown = [task["peakRss"] > before["memory"] for before, task in requested if task["peakRss"]]
    assert 0.05 < mean(grown) < 0.5


def test_costs_follow_the_formula_of_the_platform(tasks: list[dict[str, Any]]) -> None:
    """The larger share of the machine, memory as whole vCPUs, for the time on the machine."""
    machines = {entry.name: entry for platform in PLATFORMS for entry in platform.machines}
    priced = [task for task in tasks if task["complete"] and task["executor"] != "slurm"]

    assert priced
    for task in priced:
        machine = machines[task["machineType"]]
        gib = task["memory"] / 2**30
        vcpus = max(task["cpus"], math.ceil(gib * machine.vcpus / machine.memory_gib))
        usd = machine.spot_usd if task["priceModel"] == "spot" else machine.standard_usd
        hours = _elapsed_ms(task) / 3_600_000
        assert vcpus <= machine.vcpus
        assert task["cost"] == pytest.approx(usd * vcpus / machine.vcpus * hours, abs=1e-9)


def test_a_cluster_on_premises_has_no_costs(tasks: list[dict[str, Any]]) -> None:
    """It reports no machine types and prices either."""
    own = [task for task in tasks if task["executor"] == "slurm"]

    assert own
    assert {(t["cost"], t["priceModel"], t["machineType"]) for t in own} == {(None, None, None)}


def test_some_tasks_use_a_gpu(tasks: list[dict[str, Any]]) -> None:
    """They run on machines that have one, and report its metrics in the cloud."""
    granted = [task for task in tasks if task["resourceAllocation"]]
    measured = [task for task in granted if task["status"] == "COMPLETED"]

    assert {task["process"].rpartition(":")[2] for task in measured} == {
        "CELLBENDER_REMOVEBACKGROUND",
        "SCVITOOLS_SCVI",
    }
    for task in measured:
        assert task["machineType"].startswith(("g5.", "g2-"))
        assert 0 < task["gpuMetrics"]["pct"] <= task["gpuMetrics"]["peak"] <= 100
        assert task["gpuMetrics"]["active_time"] < task["realtime"]
        assert task["gpuMetrics"]["peak_mem_used"] < task["gpuMetrics"]["mem"]
    assert not any(task["gpuMetrics"] for task in tasks if not task["resourceAllocation"])


def test_releases_replace_each_other(big: World) -> None:
    """Each pipeline has several, later runs use later ones, and several are in use at a time."""
    used: dict[str, list[str]] = {}
    for key in sorted(big.workspaces):
        for workflow in reversed(big.runs(key if key > 0 else None)):
            used.setdefault(workflow["projectName"], []).append(workflow["revision"])

    assert len(used) == len(PIPELINES)
    for pipeline in PIPELINES:
        assert set(used[pipeline.name]) == set(pipeline.revisions)
        assert len(pipeline.revisions) > 1


def test_failed_and_cancelled_runs_are_resumed(big: World) -> None:
    """Some of either are, and others never, whose tasks are lost."""
    final = [run.at(big.now_s()).fields for run in _iter_runs(big)]
    resumed = {workflow["sessionId"] for workflow in final if workflow["resume"]}
    ended = [workflow for workflow in final if workflow["status"] in {"FAILED", "CANCELLED"}]

    taken = Counter((workflow["status"], workflow["sessionId"] in resumed) for workflow in ended)
    assert set(taken) == set(product(("FAILED", "CANCELLED"), (True, False)))


def test_a_run_has_at_most_one_resource_label_of_a_key(big: World) -> None:
    """Most have a project and a cost centre; a few have none."""
    keys = [
        [label["name"] for label in big.labels_of(run) if label["resource"]]
        for run in _iter_runs(big)
    ]

    assert all(len(names) == len(set(names)) for names in keys)
    assert 0.6 < mean("project" in names for names in keys) < 0.9


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
