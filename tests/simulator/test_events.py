"""Scripted runs: the effect of each event on what the simulator serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tower_etl.simulator import SimClock, World


def test_a_submitted_scripted_run_has_null_details(world: World, lab: int) -> None:
    """`start`, `stats`, `params`, `manifest` and `nextflow` are null until the run starts."""
    run = world.submit_run(lab)

    workflow = world.describe(run)["workflow"]

    assert workflow["status"] == "SUBMITTED"
    assert [workflow[name] for name in ("start", "stats", "params", "manifest", "nextflow")] == [
        None
    ] * 5


def test_run_events_set_status_last_updated_and_duration(
    world: World, lab: int, clock: SimClock
) -> None:
    run = world.submit_run(lab)
    seen = []
    for event in (world.start_run, world.lose_heartbeat, world.find_heartbeat, world.finish_run):
        clock.advance(60)
        event(run)
        workflow = world.describe(run)["workflow"]
        seen.append((workflow["status"], workflow["lastUpdated"]))

    assert seen == [
        ("RUNNING", "2026-03-01T12:01:00Z"),
        ("UNKNOWN", "2026-03-01T12:02:00Z"),
        ("RUNNING", "2026-03-01T12:03:00Z"),
        ("SUCCEEDED", "2026-03-01T12:04:00Z"),
    ]
    assert world.describe(run)["workflow"]["duration"] == 180_000


@pytest.mark.parametrize(("event", "status"), [("fail_run", "FAILED"), ("cancel_run", "CANCELLED")])
def test_a_failed_or_cancelled_run_is_not_a_success(
    world: World, lab: int, event: str, status: str
) -> None:
    run = world.submit_run(lab)
    world.start_run(run)

    getattr(world, event)(run)

    workflow = world.describe(run)["workflow"]
    assert (status, False) == (workflow["status"], workflow["success"])


def test_tasks_added_in_any_order_are_listed_by_task_id(world: World, lab: int) -> None:
    """A task id that exists already is refused."""
    run = world.submit_run(lab)

    added = [world.add_task(run, task_id) for task_id in (5, 2, None)]

    assert added == [5, 2, 6]
    assert [task["taskId"] for task in world.tasks(run)] == [2, 5, 6]
    with pytest.raises(ValueError, match="a task 5 already"):
        world.add_task(run, 5)


def test_progress_and_statistics_sum_the_current_tasks(
    world: World, lab: int, clock: SimClock
) -> None:
    run = world.submit_run(lab)
    world.start_run(run)
    for status in ("COMPLETED", "FAILED", "RUNNING"):
        task = world.add_task(run, cpus=2)
        world.start_task(run, task)
        if status != "RUNNING":
            clock.advance(30)
            world.finish_task(run, task, status)

    answer = world.describe(run)
    load, stats = answer["progress"]["workflowProgress"], answer["workflow"]["stats"]

    assert (load["succeeded"], load["failed"], load["running"]) == (1, 1, 1)
    assert (load["loadTasks"], load["loadCpus"]) == (1, 2)
    assert (load["peakTasks"], load["peakCpus"]) == (1, 2)
    assert load["cpuTime"] == 2 * 60_000
    assert sum(task["cost"] or 0 for task in world.tasks(run)) == pytest.approx(load["cost"])
    assert (
        stats["succeedCount"],
        stats["failedCount"],
        stats["succeedDuration"],
    ) == (1, 1, 60_000)


def test_metrics_are_quartiles_over_ended_tasks(world: World, lab: int) -> None:
    """Running tasks do not count, and a label names the task of each quartile."""
    run = world.submit_run(lab)
    for task_id, pcpu in ((1, 10.0), (2, 20.0), (3, 40.0)):
        world.add_task(run, task_id, process="FLOW:ALIGN", status="COMPLETED", pcpu=pcpu, cpus=2)
    world.add_task(run, 4, process="FLOW:ALIGN", status="RUNNING", pcpu=999.0)

    (row,) = world.snapshot(run).tasks.metrics

    assert row["process"] == "ALIGN"
    assert tuple(row["cpu"][name] for name in ("min", "q1", "q2", "q3", "max")) == (
        10.0,
        15.0,
        20.0,
        30.0,
        40.0,
    )
    assert row["cpu"]["maxLabel"] == "FLOW:ALIGN (3)"
    assert row["cpuUsage"]["q2"] == 10.0
    assert row["mem"] is None


def test_labels_stars_and_deletions_do_not_change_a_run(
    world: World, lab: int, clock: SimClock
) -> None:
    """These edits leave `lastUpdated` as it was."""
    run = world.submit_run(lab)
    before = world.describe(run)["workflow"]
    clock.advance(60)

    label = world.create_label(lab, "project", "atlas")
    world.set_labels(run, [label])
    world.rename_label(label, "study")
    world.star(run)
    world.delete_run(run)
    world.restore_run(run)

    answer = world.describe(run)
    assert before == answer["workflow"]
    assert [(one["name"], one["value"]) for one in answer["labels"]] == [("study", "atlas")]


def test_a_deleted_run_is_not_listed_until_it_is_restored(world: World, lab: int) -> None:
    """A restored run returns to its previous position."""
    first, second = world.submit_run(lab), world.submit_run(lab)

    world.delete_run(first)
    without = [run["id"] for run in world.runs(lab)]
    world.restore_run(first)

    assert [second] == without
    assert [second, first] == [run["id"] for run in world.runs(lab)]


def test_an_update_without_touch_keeps_last_updated(
    world: World, lab: int, clock: SimClock
) -> None:
    """Such a change is possible, and harder for a client to detect."""
    run = world.submit_run(lab)
    clock.advance(60)

    world.update_run(run, touch=False, errorMessage="late news")

    workflow = world.describe(run)["workflow"]
    assert (
        workflow["errorMessage"],
        workflow["lastUpdated"],
    ) == ("late news", "2026-03-01T12:00:00Z")


def test_events_on_unknown_or_generated_runs_are_refused(seeded: World) -> None:
    """Only scripted runs accept events."""
    (run, *_) = seeded.runs(_first_workspace(seeded))

    with pytest.raises(TypeError, match="depends on the clock"):
        seeded.finish_run(run["id"])
    with pytest.raises(KeyError, match="nowhere"):
        seeded.finish_run("nowhere")


def _first_workspace(world: World) -> int:
    return next(key for key in world.workspaces if key > 0)


def test_ids_of_scripted_runs_are_unique_and_have_14_characters(world: World, lab: int) -> None:
    """Ids of the platform have the same length."""
    ids = {world.submit_run(lab) for _ in range(2000)}

    assert len(ids) == 2000
    assert {14} == {len(run) for run in ids}
