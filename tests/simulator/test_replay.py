"""Recorded runs, served with the values of their files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.simulator import load_runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import World

DUMP: dict[str, Any] = {
    "workflow": {"id": "abc", "submit": "2026-01-01T00:00:00Z", "status": "SUCCEEDED"},
    "tasks": [{"task": {"taskId": 2}}, {"task": {"taskId": 1}}],
    "metrics": [],
    "progress": {"workflowProgress": {}, "processesProgress": []},
    "meta": {"id": "abc", "workspace": "acme/lab"},
}


def _find_workspace(world: World, full_name: str) -> int:
    org, _, name = full_name.partition("/")
    return next(
        key
        for key, place in world.workspaces.items()
        if place.org_id is not None
        and (world.organizations[place.org_id]["name"], place.name) == (org, name)
    )


@pytest.mark.shared
def test_recorded_runs_are_served_with_unchanged_values(
    shared: Path, call: Callable[..., Caller]
) -> None:
    """Description, tasks, metrics and progress equal the files."""
    world = load_runs(shared / "runs")
    caller = call(world)
    served, dumped = {}, {}
    for path in (shared / "runs").glob("*.json"):
        dump = json.loads(path.read_bytes())
        run, place = dump["meta"]["id"], _find_workspace(world, dump["meta"]["workspace"])
        answer = caller.get(f"/workflow/{run}", workspaceId=place)
        tasks: list[Any] = []
        for offset in range(0, 1 + len(dump["tasks"]), 100):
            page = caller.get(f"/workflow/{run}/tasks", workspaceId=place, max=100, offset=offset)
            tasks += page["tasks"]
        metrics = caller.get(f"/workflow/{run}/metrics", workspaceId=place)["metrics"]
        served[run] = (answer["workflow"], answer["progress"], tasks, metrics)
        order = sorted(dump["tasks"], key=lambda entry: entry["task"]["taskId"])
        dumped[run] = (dump["workflow"], dump["progress"], order, dump["metrics"])

    assert len(dumped) == 3
    assert dumped == served


@pytest.mark.shared
def test_recorded_runs_are_served_in_their_workspaces(
    shared: Path, call: Callable[..., Caller]
) -> None:
    world = load_runs(shared / "runs")
    caller = call(world)

    listed = {
        name: caller.get("/workflow", workspaceId=_find_workspace(world, name))["workflows"]
        for name in ("seqeralabs/benchmarks", "scidev/testing")
    }

    assert {name: len(runs) for name, runs in listed.items()} == {
        "seqeralabs/benchmarks": 2,
        "scidev/testing": 1,
    }
    assert listed["scidev/testing"][0]["workflow"]["lastUpdated"] == "2025-03-31T18:14:37Z"


def test_recorded_tasks_are_listed_by_task_id(tmp_path: Path) -> None:
    (tmp_path / "abc.json").write_text(json.dumps(DUMP))

    world = load_runs(tmp_path)

    assert world.tasks("abc") == [{"taskId": 1}, {"taskId": 2}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"abc\.json is not JSON"),
        ("[]", "lacks workflow, tasks, metrics, progress, meta"),
        (json.dumps({**DUMP, "meta": {}}), "KeyError at 'workspace'"),
        (json.dumps({**DUMP, "workflow": {"id": "abc"}}), "KeyError at 'submit'"),
        (json.dumps({**DUMP, "tasks": [{}]}), "KeyError at 'task'"),
        (json.dumps({name: DUMP[name] for name in ("workflow", "tasks")}), "lacks metrics"),
    ],
)
def test_an_invalid_recording_is_refused_with_file_name_and_reason(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "abc.json").write_text(text)

    with pytest.raises(ValueError, match=message):
        load_runs(tmp_path)


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    """An empty folder is more likely a mistake than an empty world."""
    with pytest.raises(ValueError, match="No dumped run"):
        load_runs(tmp_path)


def test_two_recordings_of_the_same_run_are_refused(tmp_path: Path) -> None:
    """One recording would hide the other."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(DUMP))

    with pytest.raises(ValueError, match=r"b\.json repeats run abc"):
        load_runs(tmp_path)
