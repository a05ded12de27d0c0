"""Dumped runs, served as they were dumped."""

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
def test_real_runs_are_served_value_for_value(shared: Path, call: Callable[..., Caller]) -> None:
    """Description, all pages of tasks, metrics and progress equal the files."""
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
def test_real_runs_have_their_workspaces(shared: Path, call: Callable[..., Caller]) -> None:
    """Two runs share a workspace, the third has its own organisation."""
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


def test_tasks_are_sorted_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    """A dump in any order is listed by taskId."""
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
def test_bad_dumps_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    """One sentence that names the file and what is wrong with it."""
    (tmp_path / "abc.json").write_text(text)

    with pytest.raises(ValueError, match=message):
        load_runs(tmp_path)


def test_a_folder_without_dumps_is_refused(tmp_path: Path) -> None:
    """An empty folder is a mistake, not an empty world."""
    with pytest.raises(ValueError, match="No dumped run"):
        load_runs(tmp_path)


def test_a_run_that_is_dumped_twice_is_refused(tmp_path: Path) -> None:
    """Two files with one id would hide each other."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(DUMP))

    with pytest.raises(ValueError, match=r"b\.json repeats run abc"):
        load_runs(tmp_path)
