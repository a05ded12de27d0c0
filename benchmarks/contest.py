"""Everyone at one size: two syncs each, measured, and the tables judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.remote import open_platform
from benchmarks.sizes import find_workspace, make_world
from benchmarks.story import DAY, pass_day, plan_events
from benchmarks.truth import write_truth
from benchmarks.usage import measure
from benchmarks.verdicts import judge
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from benchmarks.contestants import Contestant
    from benchmarks.remote import Platform, Traffic
    from benchmarks.sizes import Size
    from benchmarks.story import Event
    from benchmarks.usage import Usage
    from benchmarks.verdicts import Verdict


@dataclass(frozen=True)
class Outcome:
    """What a contestant took, and what its tables were worth.

    Attributes:
        first: What the first sync took.
        first_traffic: What the server counted meanwhile.
        second: What the second sync took.
        second_traffic: What the server counted meanwhile.
        verdicts: How many rows were right after the second sync, by table.
    """

    first: Usage
    first_traffic: Traffic
    second: Usage
    second_traffic: Traffic
    verdicts: dict[str, Verdict]


@dataclass(frozen=True)
class Stage:
    """Where the contestants of one size meet.

    Attributes:
        size: The size.
        now: The time of the second sync.
        folder: Where their files are.
        workspace: What they sync.
        events: What happens between the syncs, none at a quiet size.
        truth: The file of what their tables should hold.
    """

    size: Size
    now: datetime
    folder: Path
    workspace: int
    events: list[Event]
    truth: Path


def set_stage(size: Size, now: datetime, folder: Path) -> Stage:
    """Plan what happens, and write down what is true afterwards."""
    world = make_world(size, now)
    workspace = find_workspace(world)
    events = [] if size.quiet else plan_events(world, workspace)
    seen = {run["id"] for run in world.runs(workspace)}
    if not size.quiet:
        pass_day(world, events)
        seen |= {run["id"] for run in world.runs(workspace)}
    folder.mkdir(parents=True)
    write_truth(world, sorted(seen), folder / "truth.duckdb")
    return Stage(size, now, folder, workspace, events, folder / "truth.duckdb")


def perform(stage: Stage, contestant: Contestant) -> Outcome:
    """Let a contestant sync twice, a day apart, from a platform of its own."""
    folder = stage.folder / contestant.name.replace(" ", "-")
    folder.mkdir()
    path = folder / "history.duckdb"
    with open_platform(stage.size, stage.now) as platform:
        first = _sync(stage, contestant, platform, path, later=False)
        if not stage.size.quiet:
            platform.advance(DAY.total_seconds())
            platform.tell(stage.events)
        second = _sync(stage, contestant, platform, path, later=not stage.size.quiet)
    verdicts = judge(path, contestant.sql, stage.truth) if second[0].exit_code == 0 else {}
    return Outcome(*first, *second, verdicts)


def _sync(
    stage: Stage, contestant: Contestant, platform: Platform, path: Path, *, later: bool
) -> tuple[Usage, Traffic]:
    environ = {
        "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
        "TOWER_API_ENDPOINT": platform.endpoint,
        "TOWER_WORKSPACE_ID": str(stage.workspace),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    if not stage.size.limited:
        environ["TOWER_ETL_RATE"] = "none"
    usage = measure(contestant.order(path, later=later), path.parent, environ)
    return usage, platform.read_traffic()


def run_contest(
    stage: Stage, contestants: Iterable[Contestant], say: Callable[[str], object]
) -> dict[str, Outcome]:
    """Let everyone perform, one after the other.

    Args:
        stage: Where.
        contestants: Who.
        say: Told who is at work.
    """
    outcomes = {}
    for contestant in contestants:
        say(f"{stage.size.title}: {contestant.name} ...")
        outcomes[contestant.name] = perform(stage, contestant)
    return outcomes
