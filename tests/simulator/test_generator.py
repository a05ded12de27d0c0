"""Generated worlds: reproducible, driven by the clock, and similar to real histories."""

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
from tower_etl.simulator.generator.runs import GeneratedRun, TaskCache
from tower_etl.simulator.generator.specs import PIPELINES, PLATFORMS

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
    """Build a world that is large enough to measure distributions."""
    return build_world(1, clock=SimClock.frozen_at(NOON), runs=300, mean_tasks=50)


@pytest.fixture(scope="module")
def tasks(big: World) -> list[dict[str, Any]]:
    """Return all tasks of the large world."""
    return [task for run in _iter_runs(big) for task in big.tasks(run.id)]


@pytest.mark.slow
def test_a_seed_generates_the_same_world_in_every_process(seeded: World) -> None:
    """String hashes, the real clock and the machine have no influence."""
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


def test_another_seed_generates_other_run_ids() -> None:
    first, second = (build_world(seed, clock=SimClock.frozen_at(NOON)) for seed in (1, 2))

    assert not first.run_ids() & second.run_ids()


def test_tasks_evicted_from_the_cache_are_regenerated_unchanged(seeded: World) -> None:
    before = _digest(seeded)
    for run in _iter_runs(seeded):
        _generated(run).cache = TaskCache(max_tasks=1)

    assert before == _digest(seeded)


def test_the_task_cache_is_bounded(big: World) -> None:
    """Only a single run with more tasks may exceed the maximum."""
    cache = TaskCache(max_tasks=500)
    for run in _iter_runs(big):
        cache.get(_generated(run).spec)

    kept = sum(len(tasks.rows) for tasks in cache._entries.values())
    assert kept == cache._size
    assert kept <= 500 or len(cache._entries) == 1


def test_a_world_has_the_configured_number_of_runs_and_open_runs(big: World) -> None:
    """One open run is submitted, one has lost its heartbeat, and one is older than eight days."""
    runs = list(_iter_runs(big))
    open_runs = [run for run in runs if run.at(big.now_s()).status in OPEN_STATUSES]

    assert len(runs) == 300
    assert Counter(run.at(big.now_s()).status for run in open_runs) == {
        "SUBMITTED": 1,
        "RUNNING": 3,
        "UNKNOWN": 1,
    }
    assert big.now_s() - min(run.submit_s for run in open_runs) > 8 * 86_400


def test_advancing_the_clock_ends_open_runs_and_submits_new_ones() -> None:
    clock = SimClock.frozen_at(NOON)
    world = build_world(1, clock=clock, runs=300, mean_tasks=30)
    before = {run.id: run.at(world.now_s()).status for run in _iter_runs(world)}
    was_open = [run for run, status in before.items() if status in OPEN_STATUSES]

    clock.advance(86_400)

    after = {run.id: run.at(world.now_s()).status for run in _iter_runs(world)}
    assert not OPEN_STATUSES & {after[run] for run in was_open}
    assert 3 <= len(after) - len(before) <= 25


def test_a_final_run_never_changes() -> None:
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


def test_an_open_run_progresses_task_by_task() -> None:
    """The status of a task never goes back, and the progress counts match the tasks."""
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


def test_a_submitted_generated_run_has_null_details_and_no_tasks(big: World) -> None:
    """`start`, `stats`, `params`, `manifest` and `nextflow` are null."""
    run = next(r.id for r in _iter_runs(big) if r.at(big.now_s()).status == "SUBMITTED")
    workflow = big.describe(run)["workflow"]

    assert [workflow[name] for name in ("start", "stats", "params", "manifest", "nextflow")] == [
        None
    ] * 5
    assert big.tasks(run) == []


def test_a_run_that_lost_its_heartbeat_succeeds_in_the_end() -> None:
    """Until the heartbeat is found, the status is UNKNOWN and nothing changes."""
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


def test_a_resumed_run_contains_cached_tasks_of_its_session(big: World) -> None:
    """Cached tasks keep the times and the cost of their first execution."""
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


def test_task_times_are_in_order_and_within_the_run(big: World) -> None:
    for run in _iter_runs(big):
        workflow = run.at(big.now_s()).workflow
        for task in big.tasks(run.id):
            if task["status"] == "CACHED" or task["complete"] is None:
                continue
            assert workflow["start"] <= task["submit"] <= task["start"] <= task["complete"]
            assert workflow["complete"] is None or task["complete"] <= workflow["complete"]
            assert _never_ran(task) or 0 < task["realtime"] <= _elapsed_ms(task)


def test_progress_sums_the_tasks_of_a_run(big: World) -> None:
    """CPU time is CPUs times elapsed time; it and the cost include cached tasks."""
    for run in _iter_runs(big):
        tasks = [task for task in big.tasks(run.id) if task["start"] and task["complete"]]
        load = big.describe(run.id)["progress"]["workflowProgress"]
        expected = {
            "cpuTime": sum(task["cpus"] * _elapsed_ms(task) for task in tasks),
            "cost": sum(task["cost"] or 0 for task in tasks),
            "succeeded": sum(task["status"] == "COMPLETED" for task in tasks),
            "failed": sum(task["status"] == "FAILED" for task in tasks),
            "cached": sum(task["status"] == "CACHED" for task in tasks),
        }
        assert {name: load[name] or 0 for name in expected} == pytest.approx(expected, rel=1e-3)


def test_staging_is_a_skewed_share_of_run_time_and_less_with_fusion(big: World) -> None:
    """Fusion streams inputs instead of copying them before the run."""
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


def test_task_durations_are_heavy_tailed(tasks: list[dict[str, Any]]) -> None:
    realtimes = [task["realtime"] for task in tasks if task["status"] == "COMPLETED"]

    assert mean(realtimes) > 1.8 * median(realtimes)
    assert max(realtimes) > 20 * median(realtimes)


def test_executed_tasks_have_a_positive_run_time_and_cost() -> None:
    """This includes attempts that are interrupted at once. The world is that of the demo."""
    world = build_world(1, clock=SimClock.frozen_at(NOON), runs=110, open_runs=6, days=12)
    tasks = [task for run in _iter_runs(world) for task in world.tasks(run.id)]
    ran = [task for task in tasks if task["realtime"] is not None and not _never_ran(task)]
    assert min(task["realtime"] for task in ran) > 0
    assert min(task["cost"] for task in ran if task["cost"] is not None) > 0


def test_tasks_request_more_memory_than_they_use(tasks: list[dict[str, Any]]) -> None:
    """Half of the tasks use less than a fifth of their memory."""
    ratios = [task["memory"] / task["peakRss"] for task in tasks if task["peakRss"]]

    assert median(ratios) > 5
    assert min(ratios) >= 1
    assert max(ratios) > 50


def test_failed_runs_have_the_error_of_the_task_that_ended_them(big: World) -> None:
    """Between 5 % and 25 % of the final runs fail."""
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


def test_failed_and_interrupted_tasks_are_retried(tasks: list[dict[str, Any]]) -> None:
    """Some tasks succeed after a spot interruption."""
    retried = [task for task in tasks if task["errorAction"] == "RETRY"]

    assert 0.02 < len(retried) / len(tasks) < 0.1
    assert {104, 137, 143, None} == {task["exit"] for task in retried}
    assert {"FAILED"} == {task["status"] for task in retried}
    assert len(retried) <= sum(task["attempt"] == 2 for task in tasks)
    assert any(task["numSpotInterruptions"] and task["status"] == "COMPLETED" for task in tasks)


def test_some_spot_interruptions_happen_before_the_task_runs(tasks: list[dict[str, Any]]) -> None:
    """Such a task has no exit status and no run time, costs nothing, and is retried."""
    lost = [task for task in tasks if _never_ran(task)]

    assert len(lost) > 10
    for task in lost:
        assert (task["start"], task["exit"], task["cost"]) == (task["complete"], None, 0.0)
        assert (task["errorAction"], task["numSpotInterruptions"]) == ("RETRY", 1)


def test_a_retry_doubles_the_requested_memory_and_cpus(tasks: list[dict[str, Any]]) -> None:
    """Only a task that ran out of memory uses more than its first request."""
    first = {task["process"]: task for task in tasks if task["attempt"] == 1}
    retried = [task for task in tasks if task["attempt"] == 2]
    requested = [(first[task["process"]], task) for task in retried if task["process"] in first]

    for before, after in requested:
        assert after["memory"] == 2 * before["memory"]
        assert after["cpus"] == max(before["cpus"], min(2 * before["cpus"], 32))
    grown = [task["peakRss"] > before["memory"] for before, task in requested if task["peakRss"]]
    assert 0.05 < mean(grown) < 0.5


def test_task_costs_follow_the_formula_of_the_platform(tasks: list[dict[str, Any]]) -> None:
    """The larger of the CPU and memory shares of a machine is charged for the elapsed time."""
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


def test_tasks_of_an_on_premises_cluster_have_no_cost_or_machine_type(
    tasks: list[dict[str, Any]],
) -> None:
    own = [task for task in tasks if task["executor"] == "slurm"]

    assert own
    assert {(t["cost"], t["priceModel"], t["machineType"]) for t in own} == {(None, None, None)}


def test_gpu_tasks_run_on_gpu_machines_and_report_gpu_metrics(tasks: list[dict[str, Any]]) -> None:
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


def test_every_pipeline_runs_in_each_of_its_releases(big: World) -> None:
    used: dict[str, list[str]] = {}
    for key in sorted(big.workspaces):
        for workflow in reversed(big.runs(key if key > 0 else None)):
            used.setdefault(workflow["projectName"], []).append(workflow["revision"])

    assert len(used) == len(PIPELINES)
    for pipeline in PIPELINES:
        assert set(used[pipeline.name]) == set(pipeline.revisions)
        assert len(pipeline.revisions) > 1


def test_some_failed_and_cancelled_runs_are_resumed_and_others_not(big: World) -> None:
    final = [run.at(big.now_s()).fields for run in _iter_runs(big)]
    resumed = {workflow["sessionId"] for workflow in final if workflow["resume"]}
    ended = [workflow for workflow in final if workflow["status"] in {"FAILED", "CANCELLED"}]

    taken = Counter((workflow["status"], workflow["sessionId"] in resumed) for workflow in ended)
    assert set(taken) == set(product(("FAILED", "CANCELLED"), (True, False)))


def test_a_run_has_at_most_one_resource_label_per_key(big: World) -> None:
    """Most runs have a project label."""
    keys = [
        [label["name"] for label in big.labels_of(run) if label["resource"]]
        for run in _iter_runs(big)
    ]

    assert all(len(names) == len(set(names)) for names in keys)
    assert 0.6 < mean("project" in names for names in keys) < 0.9


def test_a_large_world_is_built_without_generating_tasks() -> None:
    """Tasks are generated when they are first requested."""
    world = build_world(1, clock=SimClock.frozen_at(NOON), runs=5000, days=365, mean_tasks=200)
    run = next(iter(_iter_runs(world)))

    assert len(world.run_ids()) == 10_000
    assert _generated(run).cache._size == 0


@pytest.mark.parametrize("wrong", [{"runs": 2, "open_runs": 3}, {"workspaces": 0}, {"days": 0}])
def test_invalid_world_settings_are_refused(wrong: dict[str, Any]) -> None:
    """For example more open runs than runs, or no workspace."""
    with pytest.raises(ValueError, match="at least one of everything"):
        build_world(1, **wrong)
