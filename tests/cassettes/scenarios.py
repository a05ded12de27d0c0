"""Simulated platforms that the cassettes are recorded from: small and deterministic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tower_etl.simulator import (
    DEMO_TOKEN,
    NO_LIMIT,
    FaultPlan,
    Quirks,
    ServerProfile,
    SimClock,
    Simulator,
    World,
)
from tower_etl.simulator.generator.reference import add_reference_data

if TYPE_CHECKING:
    from tower_etl.simulator import Fault
    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Run

TOKEN = DEMO_TOKEN
USER = 12_002
ACME, BETA = 10_208_790_603_554, 10_521_976_508_885
RESEARCH, CLINIC, LAB = 10_313_185_905_331, 10_417_581_207_108, 10_626_371_810_662
TEAM, URGENT = 100_007, 100_008
FINAL, OPEN, PERSONAL, FAILED = (
    "1final00000000",
    "2open000000000",
    "3personal00000",
    "4failed0000000",
)
LONG, LAUNCHED, LAUNCH = "5long000000000", "6launched00000", "7launch0000000"

_MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


def make_small_account() -> World:
    """Create two organizations, three workspaces, a personal workspace and four runs."""
    world = World(SimClock.frozen_at(_MORNING))
    made = [world.add_user("user-1")]
    acme = world.add_organization("acme")
    places = [acme, world.add_workspace(acme, "research"), world.add_workspace(acme, "clinic")]
    beta = world.add_organization("beta")
    places += [beta, world.add_workspace(beta, "lab", "SHARED")]
    labels = [world.create_label(RESEARCH, "team", "genomics")]
    labels.append(world.create_label(RESEARCH, "urgent"))
    expected = [USER, ACME, RESEARCH, CLINIC, BETA, LAB, TEAM, URGENT]
    assert expected == [*made, *places, *labels]  # tests use these ids in a replay, without a world
    _finish_run(world)
    _open_run(world)
    _fail_run(world)
    world.submit_run(None, id=PERSONAL)
    return world


def _finish_run(world: World) -> None:
    """Add a succeeded run with two processes, a retried task, two labels and a star."""
    world.submit_run(RESEARCH, id=FINAL, runName="calm_curie", projectName="nextflow-io/hello")
    world.clock.advance(60)
    world.start_run(FINAL)
    _do_task(world, FINAL, seconds=30, process="ALIGN", cpus=2)
    _do_task(world, FINAL, seconds=90, status="FAILED", process="CALL", errorAction="RETRY")
    _do_task(world, FINAL, seconds=120, process="CALL", attempt=2)
    world.finish_run(FINAL)
    world.set_labels(FINAL, (TEAM, URGENT))
    world.star(FINAL)


def _open_run(world: World) -> None:
    """Add an open run with a completed, a running and a submitted task."""
    world.clock.advance(timedelta(minutes=10))
    world.submit_run(RESEARCH, id=OPEN, runName="busy_bell")
    world.clock.advance(45)
    world.start_run(OPEN)
    _do_task(world, OPEN, seconds=20)
    world.start_task(OPEN, world.add_task(OPEN))
    world.add_task(OPEN)
    world.set_labels(OPEN, (TEAM,))


def _fail_run(world: World) -> None:
    world.clock.advance(timedelta(minutes=10))
    world.submit_run(LAB, id=FAILED, runName="sad_hopper")
    world.clock.advance(30)
    world.start_run(FAILED)
    _do_task(world, FAILED, seconds=15, status="FAILED", errorAction="TERMINATE")
    world.fail_run(FAILED)


def _do_task(
    world: World, run_id: str, *, seconds: int, status: str = "COMPLETED", **fields: str | int
) -> None:
    """Add a task and run it until it ends with the given status."""
    task_id = world.add_task(run_id, None, **fields)
    world.clock.advance(5)
    world.start_task(run_id, task_id)
    world.clock.advance(seconds)
    world.finish_task(run_id, task_id, status)


def serve_reference_data() -> Simulator:
    """Serve one workspace with reference data of each kind, members, teams and a launched run."""
    world = World(SimClock.frozen_at(_MORNING))
    world.add_user("user-1")
    acme = world.add_organization("acme")
    place = world.add_workspace(acme, "research")
    add_reference_data(world)
    assert (acme, place) == (ACME, RESEARCH)
    for kind in ("pipelines", "pipelineVersions", "computeEnvs", "credentials"):
        for holder, rows in world.entities[kind].items():
            world.entities[kind][holder] = rows[:1]  # short enough to review
    world.submit_run(RESEARCH, id=LAUNCHED, launchId=LAUNCH)
    world.entities["launchDatasets"] = {RESEARCH: world.entities["datasetVersions"][RESEARCH]}
    return Simulator(world, limit=NO_LIMIT)


class TerseWorld(World):
    """A world whose listing has few fields per run, which keeps long recordings short."""

    def element(self, run: Run) -> Row:
        """Return the listed run with only the fields that a page walk reads."""
        workflow = super().element(run)["workflow"]
        kept = ("id", "status", "submit", "lastUpdated")
        return {"workflow": {name: workflow[name] for name in kept}, "starred": False}


def _make_terse() -> tuple[World, int]:
    world = TerseWorld(SimClock.frozen_at(_MORNING))
    world.add_user("user-1")
    return world, world.add_workspace(world.add_organization("acme"), "research")


def serve_small_account(
    *faults: tuple[str, Fault], legacy: bool = False, quirks: Quirks | None = None
) -> Simulator:
    """Serve the small account with the given faults."""
    plan = FaultPlan()
    for path, fault in faults:
        plan.add(path, fault)
    return Simulator(
        make_small_account(),
        limit=NO_LIMIT,
        faults=plan,
        profile=ServerProfile(legacy=legacy, quirks=quirks or Quirks()),
    )


def serve_refusing_workspace() -> Simulator:
    """Serve the small account with a listed workspace that refuses every call."""
    simulator = serve_small_account()
    simulator.world.forbid(LAB)
    return simulator


def serve_many_runs() -> Simulator:
    """Serve 103 runs of one workspace, submitted a minute apart: more than one page."""
    world, place = _make_terse()
    assert place == RESEARCH
    for number in range(103):
        world.submit_run(place, id=f"run{number:03d}")
        world.clock.advance(60)
    return Simulator(world, limit=NO_LIMIT)


def serve_many_tasks() -> Simulator:
    """Serve a run of 102 finished tasks: more than one page."""
    world, place = _make_terse()
    world.submit_run(place, id=LONG)
    world.start_run(LONG)
    for task_id in range(1, 103):
        world.add_task(LONG, task_id, status="CACHED", exit=0)
    world.finish_run(LONG)
    run = world.find_run(LONG)
    kept = {"taskId", "status", "name", "process", "exit", "submit"}
    for row in run.at(0).tasks.rows:
        for name in set(row) - kept:
            del row[name]
    return Simulator(world, limit=NO_LIMIT)
