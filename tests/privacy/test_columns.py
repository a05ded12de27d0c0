"""Column policies on the command line: exclusion, hashing and promotion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from tests.privacy.conftest import TOKEN
from tower_etl.simulator import Simulator, World, serve
from tower_etl.simulator.responses import BufferedResponse, capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from tests.cli.console import Console, Ended

pytestmark = pytest.mark.slow


class Grower:
    """An ASGI application that adds a new field to the runs and tasks of a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response of the simulator with the field."""
        reply = await capture(self._simulator, scope, receive)
        body: Any = orjson.loads(reply.body)
        if "progress" in body:
            body["workflow"]["brandNew"] = {"count": 7}
        for item in body.get("tasks") or ():
            item["task"]["brandNew"] = "8"
        await BufferedResponse(reply.status, orjson.dumps(body)).send(send)


@pytest.fixture
def world() -> World:
    """Return a world with two final runs of one workspace."""
    world = World()
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    for _ in range(2):
        run_id = world.submit_run(lab)
        world.start_run(run_id)
        world.finish_task(run_id, world.add_task(run_id))
        world.finish_run(run_id)
    return world


@pytest.fixture
def growing(world: World) -> Iterator[str]:
    """Serve the world with the new field and yield the address."""
    simulator = Simulator(world, tokens=(TOKEN,), limit=None)
    with serve(cast("Simulator", Grower(simulator))) as url:
        yield url


def sync(console: Console, endpoint: str, *flags: str, **variables: str) -> Ended:
    """Sync into `runs.duckdb` and return the result of the command."""
    return console.run(
        *("sync", "--endpoint", endpoint, "--rate", "none", "--json", *flags),
        TOWER_ACCESS_TOKEN=TOKEN,
        **variables,
    )


def test_column_policies_hold_for_in_place_updates_and_views(
    console: Console, growing: str, world: World
) -> None:
    """The second sync updates the row of a deleted run in place, without a fetch."""
    (console.folder / ".dlt").mkdir()
    (console.folder / ".dlt" / "config.toml").write_text(
        '[sources.tower_etl.tower]\nhash = ["user_name"]\npromote = ["workflows.brandNew:json"]\n'
    )
    flags = ("--exclude", "tasks.script", "--exclude", "command_line")
    first = sync(console, growing, *flags, TOWER_ETL_HASH_SALT="pepper")
    assert first.code == 0, first.err
    before = console.select("SELECT id, user_name, brand_new FROM workflows ORDER BY id")
    assert {name for _, name, _ in before} != {None}
    assert all(str(name).startswith("hash:") for _, name, _ in before)
    assert [json.loads(grown) for *_, grown in before] == [{"count": 7}] * 2
    world.delete_run(before[0][0])
    second = sync(console, growing, "--reconcile", *flags, TOWER_ETL_HASH_SALT="pepper")
    assert second.code == 0, second.err
    assert console.select("SELECT count(*) FROM workflows WHERE missing_since IS NOT NULL") == [
        (1,)
    ]
    assert before == console.select("SELECT id, user_name, brand_new FROM workflows ORDER BY id")
    assert console.select("SELECT count(script), count(name) FROM tasks") == [(0, 2)]
    assert console.run("query", "cost_by_pipeline").code == 0


def test_a_new_field_is_reported_once_and_promoted_by_configuration(
    console: Console, growing: str
) -> None:
    """Until it is promoted, its values are kept in `undocumented`."""
    first = sync(console, growing)
    assert first.json["undocumented"] == {"tasks": ["brandNew"], "workflows": ["brandNew"]}
    assert sync(console, growing, "--reconcile").json["undocumented"] == {}
    assert console.select("SELECT DISTINCT undocumented FROM tasks") == [('{"brandNew":"8"}',)]
    asked = ("sync", "--endpoint", growing, "--rate", "none", "--path", "other.duckdb")
    ended = console.run(
        *asked, TOWER_ACCESS_TOKEN=TOKEN, TOWER_ETL_PROMOTE="tasks.brandNew:integer"
    )
    assert "New fields in workflows without a column: brandNew" in ended.out
    assert "New fields in tasks" not in ended.out
    found = console.select("SELECT brand_new, undocumented FROM tasks", "other.duckdb")
    assert found == [(8, None)] * 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--exclude", "tasks.task_id"), "can be neither excluded nor hashed"),
        (("--hash", "workflows.owner_id"), "expected a text column"),
        (("--exclude", "user_nam"), "Did you mean user_name"),
    ],
)
def test_an_invalid_column_policy_exits_with_2_before_the_first_call(
    console: Console, flags: tuple[str, ...], said: str
) -> None:
    """No server listens at the endpoint, and no file is created."""
    before = console.list_files()
    ended = sync(console, "http://127.0.0.1:9/api", *flags)
    assert ended.code == 2
    assert said in ended.err
    assert before == console.list_files()


def test_an_invalid_redact_value_exits_with_2_and_lists_valid_ones(console: Console) -> None:
    ended = sync(console, "http://127.0.0.1:9/api", TOWER_ETL_REDACT="sometimes")
    assert (ended.code, "true, false, emails" in ended.err) == (2, True)
