"""Columns that users keep out, and fields that they let in, through the command line."""

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
    """An ASGI application in whose answers runs and tasks have a field that is new."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the field."""
        reply = await capture(self._simulator, scope, receive)
        body: Any = orjson.loads(reply.body)
        if "progress" in body:
            body["workflow"]["brandNew"] = {"count": 7}
        for item in body.get("tasks") or ():
            item["task"]["brandNew"] = "8"
        await BufferedResponse(reply.status, orjson.dumps(body)).send(send)


@pytest.fixture
def world() -> World:
    """Two runs of one user, one of them deleted after the first sync."""
    world = World.empty()
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    for _ in range(2):
        run_id = world.submit_run(lab)
        world.start_run(run_id)
        world.finish_task(run_id, world.add_task(run_id))
        world.finish_run(run_id)
    return world


@pytest.fixture
def growing(world: World) -> Iterator[str]:
    """Where that world answers with a field that is new."""
    simulator = Simulator(world, tokens=(TOKEN,), limit=None)
    with serve(cast("Simulator", Grower(simulator))) as url:
        yield url


def sync(console: Console, endpoint: str, *flags: str, **variables: str) -> Ended:
    """One sync into `runs.duckdb`, as it ended."""
    return console.run(
        *("sync", "--endpoint", endpoint, "--rate", "none", "--json", *flags),
        TOWER_ACCESS_TOKEN=TOKEN,
        **variables,
    )


def test_excluded_and_hashed_columns_stay_so_and_views_go_on(
    console: Console, growing: str, world: World
) -> None:
    """Also in a row that is written again without a visit, because its run is gone."""
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


def test_a_field_is_named_when_it_is_seen_first_and_gets_its_column_when_asked_for(
    console: Console, growing: str
) -> None:
    """In `--json` and in words; not again by the next sync; never a column by accident."""
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
def test_a_column_that_cannot_be_had_is_bad_usage(
    console: Console, flags: tuple[str, ...], said: str
) -> None:
    """It shows before the first call and before anything is made."""
    before = console.list_files()
    ended = sync(console, "http://127.0.0.1:9/api", *flags)
    assert ended.code == 2
    assert said in ended.err
    assert before == console.list_files()


def test_a_word_for_redaction_that_is_none_is_bad_usage(console: Console) -> None:
    """The words are listed."""
    ended = sync(console, "http://127.0.0.1:9/api", TOWER_ETL_REDACT="sometimes")
    assert (ended.code, "true, false, emails" in ended.err) == (2, True)
