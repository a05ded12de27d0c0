"""Measurement of all candidates at one size: two syncs each, and the accuracy of their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.accuracy import compare_rows
from benchmarks.expected import write_expected
from benchmarks.remote import open_platform
from benchmarks.resource_usage import measure
from benchmarks.scenario import DAY, pass_day, plan_events
from benchmarks.sizes import find_workspace, make_world
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from benchmarks.accuracy import RowAccuracy
    from benchmarks.candidates import Candidate
    from benchmarks.remote import Platform, Traffic
    from benchmarks.resource_usage import Usage
    from benchmarks.scenario import Event
    from benchmarks.sizes import Size


@dataclass(frozen=True)
class Outcome:
    """Costs and accuracy of a candidate.

    Attributes:
        first: Resource usage of the first sync.
        first_traffic: Calls of the first sync, counted at the server.
        second: Resource usage of the second sync.
        second_traffic: Calls of the second sync, counted at the server.
        accuracy: Accuracy of the rows after the second sync, by table.
    """

    first: Usage
    first_traffic: Traffic
    second: Usage
    second_traffic: Traffic
    accuracy: dict[str, RowAccuracy]


@dataclass(frozen=True)
class Scenario:
    """Conditions that are equal for all candidates of one size.

    Attributes:
        size: Size of the world.
        now: Time of the second sync (UTC).
        folder: Folder of the candidates' files.
        workspace: Id of the workspace that is synced.
        events: Events between the syncs; none at a quiet size.
        expected: DuckDB file with the expected rows.
    """

    size: Size
    now: datetime
    folder: Path
    workspace: int
    events: list[Event]
    expected: Path


def prepare_scenario(size: Size, now: datetime, folder: Path) -> Scenario:
    """Plan the events between the syncs, and write the rows that are expected after them."""
    world = make_world(size, now)
    workspace = find_workspace(world)
    events = [] if size.quiet else plan_events(world, workspace)
    seen = {run["id"] for run in world.runs(workspace)}
    if not size.quiet:
        pass_day(world, events)
        seen |= {run["id"] for run in world.runs(workspace)}
    folder.mkdir(parents=True)
    write_expected(world, sorted(seen), folder / "expected.duckdb")
    return Scenario(size, now, folder, workspace, events, folder / "expected.duckdb")


def run_candidate(scenario: Scenario, candidate: Candidate) -> Outcome:
    """Run two syncs of a candidate, a simulated day apart, with a separate platform."""
    folder = scenario.folder / candidate.name.replace(" ", "-")
    folder.mkdir()
    path = folder / "history.duckdb"
    with open_platform(scenario.size, scenario.now) as platform:
        first = _sync(scenario, candidate, platform, path, later=False)
        if not scenario.size.quiet:
            platform.advance(DAY.total_seconds())
            platform.tell(scenario.events)
        second = _sync(scenario, candidate, platform, path, later=not scenario.size.quiet)
    accuracy = (
        compare_rows(path, candidate.sql, scenario.expected) if second[0].exit_code == 0 else {}
    )
    return Outcome(*first, *second, accuracy)


def _sync(
    scenario: Scenario, candidate: Candidate, platform: Platform, path: Path, *, later: bool
) -> tuple[Usage, Traffic]:
    environ = {
        "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
        "TOWER_API_ENDPOINT": platform.endpoint,
        "TOWER_WORKSPACE_ID": str(scenario.workspace),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    if not scenario.size.limited:
        environ["TOWER_ETL_RATE"] = "none"
    usage = measure(candidate.order(path, later=later), path.parent, environ)
    return usage, platform.read_traffic()


def run_comparison(
    scenario: Scenario, candidates: Iterable[Candidate], say: Callable[[str], object]
) -> dict[str, Outcome]:
    """Run all candidates, one after the other.

    Args:
        scenario: Conditions of the comparison.
        candidates: Candidates to run.
        say: Function that is called with a progress message.
    """
    outcomes = {}
    for candidate in candidates:
        say(f"{scenario.size.title}: {candidate.name} ...")
        outcomes[candidate.name] = run_candidate(scenario, candidate)
    return outcomes
