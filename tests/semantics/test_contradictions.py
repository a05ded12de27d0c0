"""Servers that contradict themselves, give less than requested, or are older than expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tests.semantics.platform import Platform, make_world
from tests.semantics.truth import expect_run, list_shown
from tests.semantics.warehouse import Warehouse
from tower_etl.settings import Packages
from tower_etl.sim import Fault, Quirks, ServerProfile, SimClock
from tower_etl.sim.routes import RunRoutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.semantics.platform import Switchboard
    from tower_etl.source import Session

    Serve = Callable[..., Platform]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PREFLIGHT = 3
WORKSPACES = 3  # the personal one and two of an organisation


@pytest.fixture
def serve(switchboard: tuple[str, Switchboard]) -> Serve:
    """Start a platform with quirks."""

    def start(version: str = "26.2.0", **quirks: Any) -> Platform:
        world = make_world(SimClock.frozen_at(START))
        profile = ServerProfile(version, quirks=Quirks(**quirks))
        return Platform.start(*switchboard, world, profile)

    return start


def change(platform: Platform, version: str = "26.2.0", **quirks: Any) -> None:
    """Let the server be another one from now on."""
    profile = ServerProfile(version, quirks=Quirks(**quirks))
    platform.simulator._app = platform.simulator._make_app(profile)


def find_space(platform: Platform) -> int:
    """The workspace of the runs."""
    return max(place.key for place in platform.world.workspaces.values())


def add_run(platform: Platform, tasks: int = 1, *, final: bool = True, going: int = 0) -> str:
    """A run whose tasks ended, but so many of the first ones."""
    world = platform.world
    run_id = world.submit_run(find_space(platform))
    world.start_run(run_id)
    for number in range(tasks):
        task_id = world.add_task(run_id)
        if number >= going:
            world.finish_task(run_id, task_id)
    if final:
        world.finish_run(run_id)
    world.clock.advance(1)
    return run_id


def sync(platform: Platform, warehouse: Warehouse, **request: Any) -> Session:
    """One sync, which is `ok`."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, Packages())
    finally:
        session.close()
    assert session.outcome.status == "ok", session.outcome
    return session


def calls_of(platform: Platform, session: Session, path: str = "") -> int:
    """Calls that a sync made, to paths that end so."""
    calls = platform.simulator.calls[-session.spent.calls :]
    return sum(call.path.endswith(path) for call in calls)


def refused(platform: Platform, session: Session) -> int:
    """Calls of a sync that the server refused with 400."""
    return sum(call.status == 400 for call in platform.simulator.calls[-session.spent.calls :])


def assert_equal(platform: Platform, warehouse: Warehouse) -> None:
    """The tables are the world's."""
    shown = list_shown(platform.world)
    assert {key[0] for key in warehouse.tables["workflows"]} == set(shown)
    for run_id, space in shown.items():
        for table, expected in expect_run(platform.world, run_id, space).items():
            assert warehouse.rows_of(table, run_id) == expected


# --- tasks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("total", ["exact", "bound", "absent"])
@pytest.mark.parametrize("way", [{"page_cap": 50}, {"page_cap": 7}, {"ignores_max": True}])
@pytest.mark.parametrize("final", [True, False])
def test_all_tasks_come_from_a_server_that_gives_fewer_than_requested(
    serve: Serve, way: dict[str, Any], total: str, *, final: bool
) -> None:
    """While its count, or the progress of the run, says that more follow; and once each."""
    platform, warehouse = serve(**way, task_total=total), Warehouse()
    for tasks in (0, 1, 50, 133):
        add_run(platform, tasks, final=final)
    assert sync(platform, warehouse).outcome.warnings == []
    assert_equal(platform, warehouse)
    assert sync(platform, warehouse).outcome.warnings == []
    assert_equal(platform, warehouse)


def test_a_count_of_more_tasks_than_there_are_is_reported_once_a_workspace(serve: Serve) -> None:
    """The runs are loaded; one more call for each shows that nothing follows."""
    platform, warehouse = serve(task_total="high"), Warehouse()
    runs = [add_run(platform, tasks) for tasks in (3, 120, 5)]
    session = sync(platform, warehouse)
    assert_equal(platform, warehouse)
    (warning,) = session.outcome.warnings
    assert warning.startswith("acme/clinic: 3 run(s) with another number of tasks than the total")
    assert f"{runs[0]}: 3 tasks, total 10" in warning
    assert sync(platform, warehouse).outcome.warnings == []


@pytest.mark.parametrize(
    ("part", "counts", "odd"),
    [
        ("progress", {"succeeded": 5}, False),
        ("progress", {"succeeded": 3, "failed": 1, "cached": 1, "retries": 1}, False),
        ("progress", {"succeeded": 4, "running": 2}, False),
        ("progress", {"succeeded": 5, "pending": 7}, False),
        ("progress", {"succeeded": 5, "running": -1}, False),
        ("progress", {"succeeded": 4, "aborted": None}, False),
        ("progress", {"succeeded": None}, False),
        ("progress", {"succeeded": 4}, True),
        ("progress", {"succeeded": 345}, True),
        ("progress", {"succeeded": 4, "aborted": 2}, True),
        ("stats", {"succeedCount": 5}, False),
        ("stats", {"succeedCount": 4}, False),
        ("stats", {"succeedCount": 3, "cachedCount": 2, "failedCount": 1}, True),
    ],
)
def test_tasks_are_compared_with_what_else_the_server_counts(
    serve: Serve, part: str, counts: dict[str, Any], *, odd: bool
) -> None:
    """Retried tasks count as failed, too; those that never ended need not be there."""
    platform, warehouse = serve(), Warehouse()
    run: Any = platform.world.find_run(add_run(platform, 5))
    none = dict.fromkeys(
        ("succeeded", "failed", "cached", "aborted", "pending", "submitted", "running"), 0
    )
    if part == "stats":
        run.fields["stats"] = counts
    else:
        load = {"workflowProgress": none | counts, "processesProgress": []}
        run.progress = lambda _: load
    warnings = sync(platform, warehouse).outcome.warnings
    assert len(warehouse.rows_of("tasks", run.id)) == 5
    assert [run.id in warning for warning in warnings] == [True] * odd


def test_an_open_run_is_not_compared_with_its_progress(serve: Serve) -> None:
    """It moves while it is looked at."""
    platform, warehouse = serve(), Warehouse()
    run: Any = platform.world.find_run(add_run(platform, 5, final=False))
    run.progress = lambda _: {"workflowProgress": {"succeeded": 2}, "processesProgress": []}
    assert sync(platform, warehouse).outcome.warnings == []


@pytest.mark.parametrize("final", [True, False])
def test_a_task_that_is_listed_twice_is_stored_once_and_reported(
    serve: Serve, *, final: bool
) -> None:
    """The later one, wherever it is; and it costs no call at the next syncs."""
    platform, warehouse = serve(), Warehouse()
    run: Any = platform.world.find_run(add_run(platform, 250, final=final))
    whole = run.tasks(0)
    twice = [{**whole[6], "name": name} for name in ("first", "second")]
    run.tasks = lambda _: [*whole[:6], *twice, *whole[7:]]
    session = sync(platform, warehouse)
    assert calls_of(platform, session, "/tasks") == 3
    rows = warehouse.rows_of("tasks", run.id)
    assert (len(rows), rows[run.id, 7]["name"]) == (250, "second")
    (warning, *_) = session.outcome.warnings
    assert f"1 run(s) that list a task twice, for example {run.id}, 7" in warning
    assert calls_of(platform, sync(platform, warehouse), "/tasks") == (0 if final else 3)


def test_a_task_that_is_on_two_pages_is_stored_once(serve: Serve) -> None:
    """The walk starts again, and finds the same."""
    platform, warehouse = serve(), Warehouse()
    run: Any = platform.world.find_run(add_run(platform, 1_150))
    whole = run.tasks(0)
    run.tasks = lambda _: [*whole[:100], *whole[99:], {**whole[6], "name": "later"}]
    assert len(sync(platform, warehouse).outcome.warnings) == 2
    rows = warehouse.rows_of("tasks", run.id)
    assert (len(rows), rows[run.id, 7]["name"]) == (1_150, "later")


@pytest.mark.parametrize("odd", [None, "seven", {}, 2**70, 7.5])
def test_a_task_without_a_number_keeps_no_run_out(serve: Serve, odd: object) -> None:
    """It is stored under a number of its own, and reported."""
    platform, warehouse = serve(), Warehouse()
    run: Any = platform.world.find_run(add_run(platform, 3))
    whole = run.tasks(0)
    run.tasks = lambda _: [*whole[:2], {**whole[2], "taskId": odd}]
    if odd == 2**70:
        return  # the simulator cannot write it
    session = sync(platform, warehouse)
    rows = warehouse.rows_of("tasks", run.id)
    assert len(rows) == 3
    assert min(task_id for _, task_id in rows) < 0
    assert [run.id in one for one in session.outcome.warnings] == [True] * (odd != "seven")


@pytest.mark.parametrize(("going", "pages"), [({0}, 2), ({300}, 2), ({0, 300}, 3), ({0, 1, 50}, 2)])
def test_of_an_open_run_only_pages_with_open_tasks_are_fetched(
    serve: Serve, going: set[int], pages: int
) -> None:
    """And the last one, since more may have come; and only those tasks are written again."""
    platform, warehouse = serve(), Warehouse()
    world = platform.world
    run_id = add_run(platform, 520, final=False, going=520)
    for number in set(range(520)) - going:
        world.finish_task(run_id, number + 1)
    sync(platform, warehouse)
    session = sync(platform, warehouse)
    assert session.spent.calls == PREFLIGHT + WORKSPACES + 2 + pages
    assert session.rows["tasks"] <= len(going) + 10 * (len(going) + 1)
    assert_equal(platform, warehouse)
    for number in going:
        world.finish_task(run_id, number + 1)
    world.add_task(run_id)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)
    assert sync(platform, warehouse).spent.calls == PREFLIGHT + WORKSPACES + 2 + 1
    state = warehouse.state["workspaces"][str(find_space(platform))]["open"][run_id]
    assert (state["settled_tasks"], state["last_settled_task_id"]) == (520, 520)


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 99, 100, 101, 150, 320])
@pytest.mark.parametrize("unpaged", [r"/datasets$", r"/datasets|/labels|/workflow$|/tasks$", r"."])
def test_a_list_that_the_server_does_not_page_comes_in_two_calls(
    serve: Serve, count: int, unpaged: str
) -> None:
    """At most; it is complete, so that what it lacks is missing."""
    platform, warehouse = serve(unpaged=unpaged), Warehouse()
    for number in range(count):
        platform.world.add_entity("datasets", find_space(platform), id=f"d{number}", name="x")
        if count < 150:
            add_run(platform, 0)
    add_run(platform, count)
    session = sync(platform, warehouse)
    assert len(warehouse.tables["datasets"]) == count
    assert calls_of(platform, session, "/datasets") <= WORKSPACES + 1
    assert_equal(platform, warehouse)
    assert session.outcome.warnings == []
    platform.world.clear_entities("datasets", find_space(platform))
    sync(platform, warehouse, reconcile=True)
    rows = warehouse.tables["datasets"].values()
    assert sum(row["missing_since"] is not None for row in rows) == count


def test_an_element_without_an_id_hides_no_other_of_its_list(serve: Serve) -> None:
    """It is left out and reported; the list is incomplete then, and costs nothing more."""
    platform, warehouse = serve(), Warehouse()
    space = find_space(platform)
    for number in range(3):
        platform.world.add_entity("datasets", space, id=f"d{number}", name="x")
        platform.world.add_entity("computeEnvs", space, id=f"c{number}", name="x")
    first = sync(platform, warehouse)
    for kind in ("datasets", "computeEnvs"):
        platform.world.clear_entities(kind, space)
        platform.world.add_entity(kind, space, name="no id")
        platform.world.add_entity(kind, space, id=f"{kind[0]}7", name="x")
    session = sync(platform, warehouse, reconcile=True)
    assert calls_of(platform, session, "/datasets") == calls_of(platform, first, "/datasets")
    for table in ("datasets", "compute_envs"):
        assert len(warehouse.tables[table]) == 4
        assert all(row["missing_since"] is None for row in warehouse.tables[table].values())
        message = f"acme/clinic: 1 element(s) of {table} without a usable id were left out"
        assert any(message in warning for warning in session.outcome.warnings)
    assert sync(platform, warehouse).outcome.warnings == []


@pytest.mark.parametrize("odd", [None, "text", {}, {"workflow": {"id": 7}}, {"workflow": None}])
def test_an_element_that_names_no_run_hides_no_other(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, odd: Any
) -> None:
    """It is reported, no run is called missing, and nothing is listed twice for it."""
    platform, warehouse = serve(), Warehouse()
    gone, kept = add_run(platform), add_run(platform)
    usual = sync(platform, warehouse)
    platform.world.delete_run(gone)
    fresh = add_run(platform)
    show = RunRoutes._element

    def show_oddly(routes: RunRoutes, run: Any, attributes: frozenset[str]) -> Any:
        return odd if run.id == kept else show(routes, run, attributes)

    monkeypatch.setattr(RunRoutes, "_element", show_oddly)
    for _ in range(2):
        session = sync(platform, warehouse, reconcile=True)
        (warning,) = session.outcome.warnings
        assert "acme/clinic: 1 element(s) of the run listing without a usable run id" in warning
        assert calls_of(platform, session, "/workflow") == calls_of(platform, usual, "/workflow")
    rows = warehouse.tables["workflows"]
    assert set(rows) == {(gone,), (kept,), (fresh,)}
    assert [row["missing_since"] for row in rows.values()] == [None] * 3


# --- what a server does not support ------------------------------------------------------------


@pytest.mark.parametrize("largest", [50, 25, 10, 4, 0])
def test_a_server_that_allows_fewer_items_a_page_is_synced_whole(
    serve: Serve, largest: int
) -> None:
    """What it allows is found out once, and again when its version changes."""
    platform, warehouse = serve(largest_page=largest), Warehouse()
    for tasks in (*[0] * 60, 120):
        add_run(platform, tasks)
    session = sync(platform, warehouse)
    assert_equal(platform, warehouse)
    assert any("/workflow: the server allows" in one for one in session.outcome.warnings)
    assert refused(platform, session) > 0
    add_run(platform, 30)
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.outcome.warnings) == (0, [])
    assert_equal(platform, warehouse)
    change(platform, version="26.3.0")
    add_run(platform, 130)
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.outcome.warnings) == (0, [])
    assert calls_of(platform, session, "/tasks") == 2
    assert warehouse.state["unsupported"]["page_sizes"] == {}


def test_attributes_that_a_server_does_not_know_are_left_out_one_by_one(serve: Serve) -> None:
    """What it knows is there; what it does not know is said once, and asked for no more."""
    unknown = frozenset({"pipelineInfo", "computeEnv"})
    platform, warehouse = serve(unknown_attributes=unknown), Warehouse()
    space = find_space(platform)
    label = {"id": 5, "name": "x", "value": None, "resource": False, "isDefault": False}
    platform.world.add_entity(
        "pipelines", space, pipelineId=1, name="p", labels=[label], optimizationStatus="OPTIMIZED"
    )
    run: Any = platform.world.find_run(add_run(platform))
    messages = [{"message": "hello"}]
    describe = platform.world.describe
    platform.world.describe = lambda run_id: describe(run_id) | {"messages": messages}  # type: ignore[method-assign] # as of a run with messages
    session = sync(platform, warehouse)
    assert sum("does not know the attributes" in one for one in session.outcome.warnings) == 2
    assert warehouse.tables["workflows"][run.id,]["messages"] == '[{"message":"hello"}]'
    (pipeline,) = warehouse.tables["pipelines"].values()
    assert pipeline["labels"] is not None
    assert pipeline["optimization_status"] == "OPTIMIZED"
    add_run(platform)
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.outcome.warnings) == (0, [])
    change(platform, version="27.1.0")
    session = sync(platform, warehouse, reconcile=True)
    assert (refused(platform, session), session.outcome.warnings) == (0, [])
    assert warehouse.state["unsupported"]["attributes"] == {}


@pytest.mark.parametrize("way", ["words", "refused", "ignored"])
def test_new_runs_are_found_on_a_server_that_does_not_filter_by_time(
    serve: Serve, way: str
) -> None:
    """From the newest one down, as far as the window reaches; it is said once."""
    platform, warehouse = serve(search=way), Warehouse()
    for _ in range(230):
        add_run(platform, 0)
        platform.world.clock.advance(60)
    sync(platform, warehouse)
    warned: list[str] = []
    for _ in range(3):
        platform.world.clock.advance(3600)
        add_run(platform)
        session = sync(platform, warehouse)
        warned += session.outcome.warnings
        assert_equal(platform, warehouse)
        assert session.outcome.fetched == 1
    (warning,) = warned
    assert "does not filter runs by `search=after:...`" in warning
    session = sync(platform, warehouse)
    assert session.spent.calls == PREFLIGHT + WORKSPACES
    queries = [parse_qs(call.query) for call in platform.simulator.calls[-WORKSPACES:]]
    assert not any("search" in query for query in queries)


@pytest.mark.parametrize("way", ["words", "refused", "ignored"])
def test_since_holds_on_a_server_that_does_not_filter_by_time(serve: Serve, way: str) -> None:
    """Also at the first sync, when no run is known that it should show."""
    platform, warehouse = serve(search=way), Warehouse()
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


def test_a_server_is_not_doubted_when_its_newest_runs_were_deleted(serve: Serve) -> None:
    """A listing without them, and one without a search: both are empty."""
    platform, warehouse = serve(), Warehouse()
    add_run(platform)
    platform.world.clock.advance(86_400)
    deleted = add_run(platform)
    sync(platform, warehouse)
    platform.world.delete_run(deleted)
    session = sync(platform, warehouse)
    assert session.spent.calls <= PREFLIGHT + 2 * WORKSPACES
    assert session.outcome.warnings == []
    assert warehouse.state["unsupported"]["searches"] is not False


def test_a_run_that_is_refused_is_not_gone_on_a_server_that_does_not_search(serve: Serve) -> None:
    """A search finds no run there; the listing shows it."""
    platform, warehouse = serve(search="words"), Warehouse()
    for _ in range(2):
        add_run(platform)
        sync(platform, warehouse)
    run_id = add_run(platform)
    platform.simulator.faults.add(f"/workflow/{run_id}", Fault("status", status=403))
    session = platform.open_session()
    warehouse.load(session, Packages())
    session.close()
    assert session.outcome.exit_code == 4
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_times_without_a_zone_are_the_same_in_listings_and_tables(serve: Serve) -> None:
    """A reconciliation finds nothing changed, and fetches nothing."""
    platform, warehouse = serve(zoned=False), Warehouse()
    for _ in range(5):
        add_run(platform, 2)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)
    assert sync(platform, warehouse, reconcile=True).outcome.fetched == 0


def test_answers_that_are_not_quite_json_are_read_and_reported_once(serve: Serve) -> None:
    """Every one of them; none is asked for again."""
    platform, warehouse = serve(), Warehouse()
    for tasks in (0, 3, 120):
        add_run(platform, tasks)
    platform.simulator.faults.add("/api/", Fault("garbled", times=10**6))
    session = sync(platform, warehouse)
    assert_equal(platform, warehouse)
    (warning,) = session.outcome.warnings
    assert f"{session.spent.calls} answer(s) were not valid JSON" in warning
    assert session.spent.retries == 0


def test_numbers_beyond_64_bits_are_stored_digit_by_digit(serve: Serve) -> None:
    """In JSON columns; redaction of the same column rounds none."""
    platform, warehouse = serve(), Warehouse()
    run: Any = platform.world.find_run(add_run(platform))
    run.fields["params"] = {"seed": 12345, "token": "ghp_" + "a" * 36, "p": 0.5}
    numbers = {b'"seed":12345': b'"seed":123456789012345678901234567890'}
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
    params = warehouse.tables["workflows"][run.id,]["params"]
    assert '"seed":123456789012345678901234567890' in params
    assert '"p":0.12345678901234567890123' in params
    assert "ghp_" not in params
