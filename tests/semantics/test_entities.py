"""Reference data: tables, deletions, versions, denied tables, and the number of calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.config.settings import PackageLimits
from tower_etl.extract import audit_log
from tower_etl.extract.reference import ENTITIES
from tower_etl.schema import HISTORY_TABLES, TABLES
from tower_etl.simulator import (
    Fault,
    ServerProfile,
    SimClock,
    Simulator,
    build_world,
)

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp
    from tower_etl.extract.result import SyncResult
    from tower_etl.simulator import World

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
IDLE = 3 + 3


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a world without runs."""
    return SimulatedPlatform.start(*swappable_app, make_world(SimClock.frozen_at(START)))


def sync(platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: Any) -> SyncResult:
    """Run one sync; return its result, whether it succeeds or not."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    return session.sync_result


def serve(
    swappable_app: tuple[str, SwappableApp], world: World, **profile: Any
) -> SimulatedPlatform:
    """Serve a world from a server with this profile."""
    platform = SimulatedPlatform.start(*swappable_app, world)
    platform.simulator = Simulator(world, limit=None, profile=ServerProfile(**profile))
    swappable_app[1].simulator = platform.simulator
    return platform


def count(platform: SimulatedPlatform, path: str) -> int:
    """Return the number of calls to paths with this suffix."""
    return sum(call.path.endswith(path) for call in platform.simulator.calls)


def rows_of(warehouse: InMemoryDestination, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table."""
    return list(warehouse.tables[table].values())


def find_space(world: World, name: str) -> int:
    """Return the id of the workspace with this name."""
    return next(place.key for place in world.workspaces.values() if place.name == name)


def test_a_sync_fills_every_table(swappable_app: tuple[str, SwappableApp]) -> None:
    """Tables have as many rows as the platform lists, with the workspace of each row."""
    world = build_world(3, clock=SimClock.frozen_at(START), runs=20, mean_tasks=4)
    platform, warehouse = SimulatedPlatform.start(*swappable_app, world), InMemoryDestination()

    sync_result = sync(platform, warehouse, tables=["*"])

    assert (sync_result.status, sync_result.warnings) == ("ok", [])
    assert [name for name in TABLES if not warehouse.tables[name]] == []
    listed = {
        "pipelines": "pipelines",
        "pipeline_versions": "pipelineVersions",
        "compute_envs": "computeEnvs",
        "participants": "participants",
        "team_members": "teamMembers",
        "data_links": "dataLinks",
        "pipeline_secrets": "pipelineSecrets",
        "audit_logs": "auditLogs",
    }
    for table, kind in listed.items():
        expected = sum(map(len, world.entities[kind].values()))
        assert (table, expected) == (table, len(warehouse.tables[table]))
    places = {place.id for place in world.workspaces.values() if place.org_id}
    of_workspaces = {e.table for e in ENTITIES if e.table in listed and e.table != "team_members"}
    for table in of_workspaces:
        assert (table, places) == (table, {r["workspace_id"] for r in rows_of(warehouse, table)})
    launched = {run["launchId"] for key in world.workspaces for run in world.runs(key)}
    assert launched - {None} == {row["id"] for row in rows_of(warehouse, "launches")}
    quotas = rows_of(warehouse, "organization_quotas")
    assert {row["org_id"]: row["max_run_history"] for row in quotas} == dict.fromkeys(
        world.organizations, 250
    )


OF_2021 = {"organization_quotas", "launch_datasets"}


@pytest.mark.parametrize(
    ("profile", "lacks"), [({"api_version": "1.140.0"}, set()), ({"legacy": True}, OF_2021)]
)
def test_an_older_server_fills_the_tables_it_supports(
    swappable_app: tuple[str, SwappableApp], profile: dict[str, Any], lacks: set[str]
) -> None:
    """Unavailable tables are reported once: the audit log, and two more on the oldest server."""
    world = build_world(3, clock=SimClock.frozen_at(START), runs=5, mean_tasks=2)
    platform, warehouse = serve(swappable_app, world, **profile), InMemoryDestination()

    outcomes = [sync(platform, warehouse, tables=["*"], reconcile=True) for _ in range(2)]

    assert [sync_result.status for sync_result in outcomes] == ["ok", "ok"]
    assert [len(sync_result.warnings) for sync_result in outcomes] == [1 + len(lacks), 0]
    told = " ".join(outcomes[0].warnings)
    assert "audit log is for administrators" in told
    assert {name for name in OF_2021 if name in told} == lacks
    assert {name for name in TABLES if not warehouse.tables[name]} >= {"audit_logs"} | lacks


def test_a_deleted_entity_keeps_its_row_with_missing_since(platform: SimulatedPlatform) -> None:
    """When the entity is listed again, `missing_since` is null and a new version opens."""
    world, warehouse = platform.world, InMemoryDestination()
    space = find_space(world, "research")
    world.add_entity("computeEnvs", space, id="ce", name="cluster", workspaceName="research")
    sync(platform, warehouse)
    world.clear_entities("computeEnvs", space)
    world.clock.advance(60)
    sync(platform, warehouse, reconcile=True)
    (gone,) = rows_of(warehouse, "compute_envs")
    world.clock.advance(60)
    sync(platform, warehouse, reconcile=True)
    (still,) = rows_of(warehouse, "compute_envs")
    world.add_entity("computeEnvs", space, id="ce", name="cluster", workspaceName="research")
    sync(platform, warehouse, reconcile=True)
    (back,) = rows_of(warehouse, "compute_envs")

    minute = START + timedelta(seconds=60)
    assert (gone["name"], gone["missing_since"]) == ("cluster", minute)
    assert still == gone
    assert back["missing_since"] is None
    versions = sorted(rows_of(warehouse, "compute_envs_history"), key=lambda r: r["valid_from"])
    assert [(row["valid_from"], row["valid_to"]) for row in versions] == [
        (START, minute),
        (minute + timedelta(seconds=60), None),
    ]


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.integers(1, 3), st.sampled_from("abc")), st.sampled_from([0, 60])
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_history_table_has_the_versions_that_syncs_observed(
    swappable_app: tuple[str, SwappableApp], steps: list[tuple[dict[int, str], int]]
) -> None:
    """Each change opens one version and closes the previous one, even if the clock stands still."""
    world = make_world(SimClock.frozen_at(START))
    platform, warehouse = SimulatedPlatform.start(*swappable_app, world), InMemoryDestination()
    space = find_space(world, "clinic")
    expected: dict[int, list[list[Any]]] = {}
    before: dict[int, str] = {}
    for pipelines, seconds in steps:
        world.clear_entities("pipelines", space)
        for key, name in pipelines.items():
            world.add_entity("pipelines", space, pipelineId=key, workspaceId=space, name=name)
            if before.get(key) != name:
                expected.setdefault(key, []).append([name, True])
        sync(platform, warehouse, reconcile=True, tables=["pipelines", "pipelines_history"])
        for key, versions in expected.items():
            for version in versions:
                version[1] = version is versions[-1] and key in pipelines
        world.clock.advance(seconds)
        before = pipelines

    stored = sorted(rows_of(warehouse, "pipelines_history"), key=lambda row: row["valid_from"])
    found = {
        key: [[r["name"], r["valid_to"] is None] for r in stored if r["pipeline_id"] == key]
        for key in expected
    }
    assert found == expected
    assert len(stored) == sum(map(len, expected.values()))


def test_untracked_and_extra_fields_do_not_open_a_version(platform: SimulatedPlatform) -> None:
    """`lastUsed` changes with each use; `fresh` is a field that the server begins to send."""
    world, warehouse = platform.world, InMemoryDestination()
    for fields in ({"lastUsed": "2026-01-01T00:00:00Z"}, {"lastUsed": None, "fresh": 1}):
        world.clear_entities("computeEnvs")
        world.add_entity("computeEnvs", id="ce", **fields)
        sync(platform, warehouse, reconcile=True)
    assert len(rows_of(warehouse, "compute_envs_history")) == 1
    assert [row["last_used"] for row in rows_of(warehouse, "compute_envs")] == [None]


def test_a_denied_table_is_reported_once_and_keeps_its_rows(platform: SimulatedPlatform) -> None:
    """Each reconciliation requests it again; a successful call clears the denial in the state."""
    world, warehouse = platform.world, InMemoryDestination()
    world.add_entity("credentials", id="c", name="cloud", keys={"secret": "s3cret"})
    sync(platform, warehouse)
    world.clear_entities("credentials")
    platform.simulator.faults.add("/credentials", Fault("status", 403, times=10**6))
    outcomes = [sync(platform, warehouse, reconcile=reconcile) for reconcile in (True, False, True)]

    assert [sync_result.status for sync_result in outcomes] == ["ok"] * 3
    assert [len(sync_result.warnings) for sync_result in outcomes] == [1, 0, 0]
    assert "credentials of personal, acme/research, acme/clinic" in outcomes[0].warnings[0]
    (kept,) = rows_of(warehouse, "credentials")
    assert (kept["name"], kept["missing_since"]) == ("cloud", None)
    assert "s3cret" not in str(kept)
    platform.simulator.faults.clear()
    sync(platform, warehouse, reconcile=True)
    assert warehouse.state["entities"]["refused"] == {}
    assert rows_of(warehouse, "credentials")[0]["missing_since"] is not None


def test_an_idle_sync_requests_no_reference_data(platform: SimulatedPlatform) -> None:
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    before = platform.count_calls()
    sync(platform, warehouse)
    assert platform.count_calls() - before == IDLE


def test_tables_selected_later_are_filled_by_the_next_sync(platform: SimulatedPlatform) -> None:
    """The sync does not wait for the next reconciliation and requests the tables only once."""
    world, warehouse = platform.world, InMemoryDestination()
    world.add_entity("studios", sessionId="s", name="notebook")
    sync(platform, warehouse, tables=["workflows"])
    assert rows_of(warehouse, "studios") == []
    sync(platform, warehouse, tables=["workflows", "studios"])
    assert [row["name"] for row in rows_of(warehouse, "studios")] == ["notebook"]
    before = platform.count_calls()
    sync(platform, warehouse, tables=["workflows", "studios"])
    assert platform.count_calls() - before == IDLE


def test_a_run_with_an_unknown_pipeline_triggers_a_pipeline_listing(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """The case is built by deleting the row of a pipeline and reopening a run that names it."""
    world = build_world(3, clock=SimClock.frozen_at(START), runs=8, days=2, mean_tasks=2)
    platform, warehouse = SimulatedPlatform.start(*swappable_app, world), InMemoryDestination()
    sync(platform, warehouse)
    named = {run["pipeline_info__id"] for run in rows_of(warehouse, "workflows")} - {None}
    stored = {row["pipeline_id"] for row in rows_of(warehouse, "pipelines")}
    assert named <= stored
    gone = min(named)
    warehouse.tables["pipelines"].pop((gone,))
    run = next(r for r in rows_of(warehouse, "workflows") if r["pipeline_info__id"] == gone)
    warehouse.state["workspaces"][str(run["workspace_id"])]["open"] = {
        run["id"]: {
            "submit": None,
            "starred": None,
            "settled_tasks": 0,
            "last_settled_task_id": None,
        }
    }
    before = count(platform, "/pipelines")
    sync(platform, warehouse)
    assert count(platform, "/pipelines") - before == 1
    assert gone in {row["pipeline_id"] for row in rows_of(warehouse, "pipelines")}


def test_reconciliation_fetches_versions_of_changed_pipelines_only(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    world = build_world(3, clock=SimClock.frozen_at(START), runs=1, open_runs=0, mean_tasks=2)
    platform, warehouse = SimulatedPlatform.start(*swappable_app, world), InMemoryDestination()
    pipelines = sum(map(len, world.entities["pipelines"].values()))
    sync(platform, warehouse)
    assert count(platform, "/versions") - count(platform, "/datasets/versions") == pipelines
    world.clock.advance(timedelta(hours=25))
    next(iter(world.entities["pipelines"].values()))[0]["version"]["hash"] = "changed"
    sync(platform, warehouse)
    assert count(platform, "/versions") - count(platform, "/datasets/versions") == pipelines + 1


def test_a_long_audit_log_is_read_over_several_syncs(
    platform: SimulatedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later syncs request only new entries, with an overlap of five minutes."""
    monkeypatch.setattr(audit_log, "_MAX_PAGES", 1)
    world, warehouse = platform.world, InMemoryDestination()

    def log(number: int) -> None:
        moment = START + timedelta(seconds=number)
        stamp = moment.isoformat().replace("+00:00", "Z")
        world.add_entity("auditLogs", 0, id=f"e{number}", timestamp=stamp, event="user_sign_in")

    for number in range(250):
        log(number)
    world.clock.advance(3600)
    sizes = []
    for _ in range(4):
        sync(platform, warehouse, tables=["audit_logs"])
        sizes.append(len(rows_of(warehouse, "audit_logs")))
    log(3700)
    world.clock.advance(3600)
    sync(platform, warehouse, tables=["audit_logs"])

    assert sizes == [100, 199, 250, 250]
    assert len(rows_of(warehouse, "audit_logs")) == 251
    last = [call.query for call in platform.simulator.calls if "audit" in call.path][-1]
    assert "timestampAfterOrEqual=2026-03-01T12%3A55" in last


def test_shared_entities_belong_to_the_workspace_that_owns_them(
    platform: SimulatedPlatform,
) -> None:
    """A workspace also lists the entities that another workspace shares with it."""
    world, warehouse = platform.world, InMemoryDestination()
    research, second_workspace = find_space(world, "research"), find_space(world, "clinic")
    for space in (second_workspace, research):
        shared = {"workspaceId": research, "workspaceName": "research"}
        note = "own" if space == research else "as seen"
        world.add_entity(
            "pipelines", space, pipelineId=1, name="shared", description=note, **shared
        )
        world.add_entity(
            "computeEnvs", space, id="ce", name="shared", message=note, workspaceName="research"
        )
    sync(platform, warehouse)
    sync(platform, warehouse, reconcile=True)

    (pipeline,) = rows_of(warehouse, "pipelines")
    (env,) = rows_of(warehouse, "compute_envs")
    assert (pipeline["workspace_id"], pipeline["description"]) == (research, "own")
    assert (env["workspace_id"], env["message"], env["undocumented"]) == (research, "own", None)
    assert len(rows_of(warehouse, "pipelines_history")) == 1


def test_service_info_gets_a_row_when_the_server_version_changes(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """Discovery requests it at every sync; a row is valid until the next one."""
    world, warehouse = make_world(SimClock.frozen_at(START)), InMemoryDestination()
    for version in ("25.1", "25.1", "26.2"):
        sync(serve(swappable_app, world, version=version), warehouse)
        world.clock.advance(60)
    found = [(row["version"], row["seen_at"]) for row in rows_of(warehouse, "service_info")]
    assert found == [("25.1", START), ("26.2", START + timedelta(seconds=120))]


def test_a_target_of_an_earlier_release_gets_all_reference_data(
    platform: SimulatedPlatform,
) -> None:
    """Its state has other keys. The sync does not wait for a reconciliation."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    del warehouse.state["entities"]
    for held in warehouse.state["resources"].values():
        held.pop("loaded", None)
    warehouse.state["entities_owed"] = False
    before = count(platform, "/studios")
    sync(platform, warehouse)
    assert count(platform, "/studios") == before + 3
    assert "entities_owed" not in warehouse.state


def test_users_of_runs_that_were_loaded_earlier_are_backfilled(platform: SimulatedPlatform) -> None:
    """A target of an earlier release has runs, but no table of users."""
    warehouse = InMemoryDestination()
    platform.world.finish_run(platform.world.submit_run())
    sync(platform, warehouse)
    (user,) = rows_of(warehouse, "users")
    warehouse.tables["users"] = {}
    del warehouse.state["resources"]["users"]
    sync(platform, warehouse)
    assert rows_of(warehouse, "users") == [user]


def test_entities_that_another_user_cannot_see_are_not_missing(platform: SimulatedPlatform) -> None:
    """Two users may sync to the same target in turn."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    owner, second_workspace = platform.world.owner(), find_space(platform.world, "clinic")
    other = platform.world.add_user("guest", [second_workspace])
    platform.simulator._users = dict.fromkeys(platform.simulator._users, other)
    sync_result = sync(platform, warehouse, reconcile=True)

    assert "personal workspace of another user" in sync_result.warnings[0]
    assert owner.id != other
    tables = ("workspaces", "organizations")
    assert {r["missing_since"] for name in tables for r in rows_of(warehouse, name)} == {None}
    assert {row["valid_to"] for row in rows_of(warehouse, "workspaces_history")} == {None}


def test_every_history_table_belongs_to_a_reference_entity() -> None:
    assert set(HISTORY_TABLES) <= {entity.table for entity in ENTITIES}


@pytest.mark.slow
def test_failed_or_denied_pipeline_versions_are_fetched_later(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """The next sync retries a server error, the next reconciliation a denial.

    The pipeline itself is stored by then, and has not changed.
    """
    world = build_world(3, clock=SimClock.frozen_at(START), runs=1, open_runs=0, mean_tasks=2)
    platform = SimulatedPlatform.start(*swappable_app, world)
    for status, hours in ((500, 0), (403, 25)):
        warehouse, fault = InMemoryDestination(), Fault("status", status, times=10**6)
        platform.simulator.faults.add(r"/pipelines/\d+/versions", fault)
        sync(platform, warehouse)
        assert rows_of(warehouse, "pipeline_versions") == []
        platform.simulator.faults.clear()
        world.clock.advance(timedelta(hours=hours))
        sync(platform, warehouse)
        expected = sum(map(len, world.entities["pipelineVersions"].values()))
        assert len(rows_of(warehouse, "pipeline_versions")) == expected


def test_denied_tables_are_reported_in_alphabetical_order(platform: SimulatedPlatform) -> None:
    """The order does not depend on the process."""
    names = ("actions", "credentials", "datasets", "pipelines")
    for name in names:
        platform.simulator.faults.add(f"/{name}", Fault("status", 403, times=10**6))
    warnings = sync(platform, InMemoryDestination(), reconcile=True).warnings
    denied = [name for text in warnings for name in names if f" {name} of " in text]
    assert denied == list(names)


def test_a_table_that_the_server_does_not_implement_is_denied(platform: SimulatedPlatform) -> None:
    """The status 501 is reported once and does not make the sync partial."""
    warehouse = InMemoryDestination()
    platform.simulator.faults.add("/studios", Fault("status", 501, times=10**6))
    outcomes = [sync(platform, warehouse, reconcile=True) for _ in range(2)]
    assert [(sync_result.status, len(sync_result.warnings)) for sync_result in outcomes] == [
        ("ok", 1),
        ("ok", 0),
    ]
