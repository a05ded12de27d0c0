"""Hostile or unusual values from the server are stored unchanged and printed safely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tower_etl.simulator import World

pytestmark = pytest.mark.slow

NAME = "'; DROP TABLE tower.workflows; -- \"\\ \x1b[2J\u202e\n[red]"
ODD_ID = 'it\'s; "a" %s {run} $1 --'


def test_runs_with_unusual_values_are_synced_and_printed_safely(
    console: Console, world: World, endpoint: str
) -> None:
    """Store ids and names with quotes, SQL, markup and line breaks.

    Years are 0, 1 and 9999, numbers exceed 64 signed bits, and parameters are deeply nested.
    """
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    deep: Any = {"leaf": 1}
    for _ in range(60):
        deep = {"deeper": [deep]}
    odd = {"dateCreated": "0000-01-01T00:00:00Z", "params": {"big": 2**64 - 1, **deep}}
    ids = [
        world.submit_run(lab, id=ODD_ID, runName=NAME),
        world.submit_run(lab, submit="0001-01-01T00:00:00Z", runName="first"),
        world.submit_run(lab, complete="9999-12-31T23:59:59Z", runName="last"),
        world.submit_run(lab, **odd),
    ]
    world.start_run(ODD_ID)
    task = world.add_task(ODD_ID, name=NAME)
    world.finish_task(ODD_ID, task)
    world.update_task(ODD_ID, task, exit=2**63, realtime=2**64 - 1)
    world.finish_run(ODD_ID)

    first = console.run("sync", "--endpoint", endpoint, "--rate", "none")
    again = console.run("sync", "--endpoint", endpoint, "--rate", "none", "--reconcile")

    assert (first.code, again.code) == (0, 0), first.out + again.out
    assert console.list_runs() == set(ids)
    assert console.select("SELECT run_name FROM workflows WHERE year(complete) = 9999") == [
        ("last",)
    ]
    (name, exit_, kept), *_ = console.select("SELECT name, exit, undocumented FROM tasks")
    assert (name, exit_) == (NAME, str(2**63))
    assert str(2**64 - 1) in kept
    shown = console.run("query", "SELECT id, run_name, submit FROM workflows")
    assert shown.code == 0, shown.err
    assert "DROP TABLE" in shown.out
    assert "\x1b" not in shown.out
