"""Servers that lack page sizes, attributes or searches, or send unusual values, are synced."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.quirky import (
    DISCOVERY_CALLS,
    START,
    WORKSPACES,
    add_run,
    assert_equal,
    calls_of,
    change,
    find_space,
    refused,
    sync,
)
from tower_etl.config.settings import PackageLimits
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from tests.semantics.quirky import Serve


@pytest.mark.slow
@pytest.mark.parametrize("largest", [50, 25, 10, 4, 0])
def test_a_server_with_a_smaller_page_limit_is_synced_completely(
    serve_quirky: Serve, largest: int
) -> None:
    """The limit is detected once, and again when the version of the server changes."""
    platform, warehouse = serve_quirky(largest_page=largest), InMemoryDestination()
    for tasks in (*[0] * 60, 120):
        add_run(platform, tasks)
    session = sync(platform, warehouse)
    assert_equal(platform, warehouse)
    assert any("/workflow: the server allows" in one for one in session.sync_result.warnings)
    assert refused(platform, session) > 0
    add_run(platform, 30)
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.sync_result.warnings) == (0, [])
    assert_equal(platform, warehouse)
    change(platform, version="26.3.0")
    add_run(platform, 130)
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.sync_result.warnings) == (0, [])
    assert calls_of(platform, session, "/tasks") == 2
    assert warehouse.state["unsupported"]["page_sizes"] == {}


def test_attributes_unknown_to_the_server_are_left_out_one_by_one(serve_quirky: Serve) -> None:
    """Known attributes are loaded.

    Unknown ones are reported once, and requested again only when the server version changes.
    """
    unknown = frozenset({"pipelineInfo", "computeEnv"})
    platform, warehouse = serve_quirky(unknown_attributes=unknown), InMemoryDestination()
    space = find_space(platform)
    label = {"id": 5, "name": "x", "value": None, "resource": False, "isDefault": False}
    platform.world.add_entity(
        "pipelines", space, pipelineId=1, name="p", labels=[label], optimizationStatus="OPTIMIZED"
    )
    run: Any = platform.world.find_run(add_run(platform))
    messages = [{"message": "hello"}]
    describe = platform.world.describe
    platform.world.describe = lambda run_id: describe(run_id) | {"messages": messages}  # type: ignore[method-assign] # a run with messages
    session = sync(platform, warehouse)
    assert sum("does not know the attributes" in one for one in session.sync_result.warnings) == 2
    assert warehouse.tables["workflows"][run.id,]["messages"] == '[{"message":"hello"}]'
    (pipeline,) = warehouse.tables["pipelines"].values()
    assert pipeline["labels"] is not None
    assert pipeline["optimization_status"] == "OPTIMIZED"
    add_run(platform)
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.sync_result.warnings) == (0, [])
    change(platform, version="27.1.0")
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.sync_result.warnings) == (0, [])
    assert warehouse.state["unsupported"]["attributes"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["words", "refused", "ignored"])
def test_new_runs_are_found_if_the_server_does_not_filter_by_time(
    serve_quirky: Serve, way: str
) -> None:
    """Runs are listed from the newest back to the start of the window. This is reported once."""
    platform, warehouse = serve_quirky(search=way), InMemoryDestination()
    for _ in range(230):
        add_run(platform, 0)
        platform.world.clock.advance(60)
    sync(platform, warehouse)
    warned: list[str] = []
    for _ in range(3):
        platform.world.clock.advance(3600)
        add_run(platform)
        session = sync(platform, warehouse)
        warned += session.sync_result.warnings
        assert_equal(platform, warehouse)
        assert session.sync_result.fetched == 1
    (warning,) = warned
    assert "does not filter runs by `search=after:...`" in warning
    session = sync(platform, warehouse)
    assert session.request_stats.calls == DISCOVERY_CALLS + WORKSPACES
    queries = [parse_qs(call.query) for call in platform.simulator.calls[-WORKSPACES:]]
    assert not any("search" in query for query in queries)


@pytest.mark.parametrize("way", ["words", "refused", "ignored"])
def test_since_and_until_apply_if_the_server_does_not_filter_by_time(
    serve_quirky: Serve, way: str
) -> None:
    """At the first sync, no run is known that a filtered listing should show."""
    platform, warehouse = serve_quirky(search=way), InMemoryDestination()
    runs = []
    for _ in range(12):
        runs.append(add_run(platform, 0))
        platform.world.clock.advance(86_400)
    since, until = (START + timedelta(days=days, hours=-1) for days in (4, 9))
    sync(platform, warehouse, since=since, until=until)
    assert set(warehouse.tables["workflows"]) == {(run_id,) for run_id in runs[4:9]}
    sync(platform, warehouse, since=since)
    assert set(warehouse.tables["workflows"]) == {(run_id,) for run_id in runs[4:]}
    gone = runs[10]
    platform.world.delete_run(gone)
    sync(platform, warehouse, reconcile=True)
    rows = warehouse.tables["workflows"].values()
    assert {row["id"] for row in rows if row["missing_since"]} == {gone}


def test_deleting_the_newest_run_does_not_disable_searches(serve_quirky: Serve) -> None:
    """The listing is empty with and without a search, which does not show that searches fail."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    add_run(platform)
    platform.world.clock.advance(86_400)
    deleted = add_run(platform)
    sync(platform, warehouse)
    platform.world.delete_run(deleted)
    session = sync(platform, warehouse)
    assert session.request_stats.calls <= DISCOVERY_CALLS + 2 * WORKSPACES
    assert session.sync_result.warnings == []
    assert warehouse.state["unsupported"]["searches"] is not False


def test_a_refused_run_is_not_deleted_if_the_server_does_not_search(serve_quirky: Serve) -> None:
    """A search does not find the run on this server, but the listing shows it."""
    platform, warehouse = serve_quirky(search="words"), InMemoryDestination()
    for _ in range(2):
        add_run(platform)
        sync(platform, warehouse)
    run_id = add_run(platform)
    platform.simulator.faults.add(f"/workflow/{run_id}", Fault("status", status=403))
    session = platform.open_session()
    warehouse.load(session, PackageLimits())
    session.close()
    assert session.sync_result.exit_code == 4
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_times_without_a_zone_are_equal_in_listings_and_tables(serve_quirky: Serve) -> None:
    """A reconciliation finds no changed run, and fetches none."""
    platform, warehouse = serve_quirky(zoned=False), InMemoryDestination()
    for _ in range(5):
        add_run(platform, 2)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)
    assert sync(platform, warehouse, reconcile=True).sync_result.fetched == 0


def test_responses_that_are_almost_json_are_parsed_and_reported_once(serve_quirky: Serve) -> None:
    """No call is retried because of them."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    for tasks in (0, 3, 120):
        add_run(platform, tasks)
    platform.simulator.faults.add("/api/", Fault("garbled", times=10**6))
    session = sync(platform, warehouse)
    assert_equal(platform, warehouse)
    (warning,) = session.sync_result.warnings
    assert f"{session.request_stats.calls} answer(s) were not valid JSON" in warning
    assert session.request_stats.retries == 0


def test_numbers_beyond_64_bits_keep_all_their_digits(serve_quirky: Serve) -> None:
    """This holds for JSON columns, which are redacted, and for extra fields.

    Neither redaction nor the detection of schema drift rounds the numbers.
    """
    platform, warehouse = serve_quirky(), InMemoryDestination()
    run_id = add_run(platform)
    platform.world.script(run_id).fields |= {
        "params": {"seed": 12345, "token": "ghp_" + "a" * 36, "p": 0.5},
        "brandNew": 777,
    }
    numbers = {b'"seed":12345': b'"seed":123456789012345678901234567890'}
    numbers[b'"brandNew":777'] = b'"brandNew":' + b"9" * 400
    numbers[b'"p":0.5'] = b'"p":0.12345678901234567890123'
    app = platform.simulator._app

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def rewrite(message: Any) -> None:
            body = message.get("body", b"")
            for short, long in numbers.items():
                body = body.replace(short, long)
            await send({**message, "body": body} if "body" in message else message)

        await app(scope, receive, rewrite)

    platform.simulator._app = answer
    sync(platform, warehouse)
    params = warehouse.tables["workflows"][run_id,]["params"]
    assert '"seed":123456789012345678901234567890' in params
    assert '"p":0.12345678901234567890123' in params
    assert "ghp_" not in params
    row = warehouse.tables["workflows"][run_id,]
    assert row["undocumented"] == '{"brandNew":' + "9" * 400 + "}"
