"""The client against a simulated platform: what it asks for, and what it makes of the answers."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tower_etl.api import PaginationStats, TowerClient, format_timestamp
from tower_etl.errors import ApiConnectionError, AuthenticationError, ForbiddenError
from tower_etl.simulator import (
    Fault,
    ServerProfile,
    Simulator,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.http import JsonHttpClient
    from tower_etl.simulator import World
    from tower_etl.simulator.request_log import Call

    Connect = Callable[..., JsonHttpClient]


def submit_many(world: World, workspace_id: int, count: int) -> list[str]:
    """Submit runs a minute apart; their ids, oldest first."""
    ids = []
    for _ in range(count):
        world.clock.advance(60)
        ids.append(world.submit_run(workspace_id))
    return ids


def list_ids(client: TowerClient, workspace_id: int | None, **bounds: datetime) -> list[str]:
    """List the ids of the runs that the client lists, in its order."""
    pages = client.list_runs(workspace_id, PaginationStats(), **bounds)
    return [element["workflow"]["id"] for page in pages for element in page]


def read_queries(simulator: Simulator, path: str) -> list[dict[str, list[str]]]:
    """Read the parameters of every call to a path that ends so."""
    return [parse_qs(call.query) for call in simulator.calls if call.path.endswith(path)]


def test_runs_are_listed_newest_first(client: TowerClient, world: World, lab: int) -> None:
    """All of them, over three pages."""
    ids = submit_many(world, lab, 250)

    assert list_ids(client, lab) == ids[::-1]


def test_every_paged_endpoint_is_asked_for_the_largest_page(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Left out, `max` is 50 or 10 (API fact 1)."""
    run_id = world.submit_run(lab)
    world.create_label(lab, "urgent")

    list_ids(client, lab)
    client.iter_tasks(lab, run_id)
    client.list_labels(lab)

    asked = [read_queries(simulator, path)[0] for path in ("/workflow", "/tasks", "/labels")]
    assert [(query["max"], query["offset"]) for query in asked] == [(["100"], ["0"])] * 3
    assert all(query["workspaceId"] == [str(lab)] for query in asked)


def test_the_personal_workspace_is_asked_for_without_an_id(
    client: TowerClient, simulator: Simulator, world: World
) -> None:
    """API fact 13."""
    run_id = world.submit_run(None)

    assert list_ids(client, None) == [run_id]
    assert client.get_run(None, run_id)["workflow"]["id"] == run_id
    assert all("workspaceId" not in parse_qs(call.query) for call in simulator.calls)


def test_runs_are_listed_with_their_labels_and_count(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Neither comes unless it is asked for (API facts 3 and 14)."""
    run_id, label_id = world.submit_run(lab), world.create_label(lab, "urgent")
    world.set_labels(run_id, [label_id])
    walked = PaginationStats()

    elements = [element for page in client.list_runs(lab, walked) for element in page]

    assert [label["id"] for label in elements[0]["labels"]] == [label_id]
    assert (walked.reported_totals, walked.count_matches) == ([1], True)
    assert read_queries(simulator, "/workflow")[0]["attributes"] == ["labels"]


def test_bounds_are_inclusive(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Both of them, and sent as the platform takes them (API fact 4)."""
    ids = submit_many(world, lab, 5)
    start = world.clock.now() - timedelta(minutes=4)

    found = list_ids(
        client, lab, after=start + timedelta(minutes=1), before=start + timedelta(minutes=3)
    )

    assert found == ids[1:4][::-1]
    search = "after:2026-03-01T12:02:00.000Z before:2026-03-01T12:04:00.000Z"
    assert read_queries(simulator, "/workflow")[0]["search"] == [search]


def test_without_bounds_nothing_is_searched_for(
    client: TowerClient, simulator: Simulator, lab: int
) -> None:
    """An empty search is left out."""
    assert list_ids(client, lab) == []
    assert "search" not in read_queries(simulator, "/workflow")[0]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000Z"),
        (datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC), "2026-03-01T12:00:00.999Z"),
        (datetime(2026, 3, 1, 12, 0, 0, 1_000, tzinfo=UTC), "2026-03-01T12:00:00.001Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (
            datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))),
            "2026-03-01T10:00:00.000Z",
        ),
    ],
)
def test_moments_are_written_as_the_search_takes_them(moment: datetime, text: str) -> None:
    """UTC with three digits; what is finer is cut, so that `after:` passes over nothing."""
    assert format_timestamp(moment) == text


def test_a_deletion_between_two_pages_loses_no_run(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Runs move up while the listing is walked; the walk notices."""
    ids = submit_many(world, lab, 250)
    doomed = [ids[-1], ids[-30], ids[-31]]

    def delete(number: int, _: Call) -> None:
        if number == 1:
            for run_id in doomed:
                world.delete_run(run_id)

    simulator.before_call = delete
    walked = PaginationStats()
    listed = [e["workflow"]["id"] for page in client.list_runs(lab, walked) for e in page]

    assert set(ids) - set(doomed) <= set(listed)
    assert len(listed) == len(set(listed))
    assert walked.was_modified


def test_runs_that_arrive_between_two_pages_cost_no_run(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Runs move down; none comes twice."""
    ids = submit_many(world, lab, 250)

    def arrive(number: int, _: Call) -> None:
        if number:
            submit_many(world, lab, 7)

    simulator.before_call = arrive

    listed = list_ids(client, lab)

    assert [run_id for run_id in listed if run_id in ids] == ids[::-1]


def test_all_labels_are_listed(client: TowerClient, world: World, lab: int) -> None:
    """More than a page of them."""
    ids = [world.create_label(lab, f"label-{number}") for number in range(130)]

    assert [label["id"] for label in client.list_labels(lab)] == ids


def test_places_are_listed(client: TowerClient, world: World, lab: int) -> None:
    """Organisations, their workspaces, and what the user sees of both."""
    user = client.get_user()
    org_id = client.list_organizations()[0]["orgId"]

    roles = client.list_user_workspaces(user["id"]).items

    assert [(role["orgId"], role["workspaceId"]) for role in roles] == [
        (org_id, None),
        (org_id, lab),
    ]
    assert [space["id"] for space in client.list_org_workspaces(org_id)] == [lab]


def test_a_bad_token_is_told_from_a_server_that_is_none(endpoint: str, connect: Connect) -> None:
    """`/service-info` answers to anybody, all else does not (API fact 11)."""
    stranger = TowerClient(connect(endpoint, "wrong"))

    assert stranger.get_service_info()["apiVersion"] == ServerProfile().api_version
    with pytest.raises(AuthenticationError):
        stranger.get_user()


def test_a_closed_workspace_is_told_from_a_bad_token(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """403 to a token that is good for `/user-info`, and no second try."""
    world.forbid(lab)

    assert client.get_user()["userName"] == world.owner().name
    with pytest.raises(ForbiddenError, match="GET /workflow: the server answered 403"):
        list_ids(client, lab)
    assert len(read_queries(simulator, "/workflow")) == 1


def test_a_dead_address_is_said_soon(connect: Connect) -> None:
    """The first call is tried again, but less often than the others are."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    dead = TowerClient(connect(f"http://127.0.0.1:{port}/api", attempts=6))

    with pytest.raises(ApiConnectionError):
        dead.get_service_info()

    assert 2 <= dead.http.metrics.snapshot().calls < 6


def test_faults_of_any_kind_cost_calls_and_no_data(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """A page that comes only at the third attempt is the same page."""
    ids = submit_many(world, lab, 150)
    for kind in ("reset", "truncated", "half_json", "html"):
        simulator.faults.add("/workflow", Fault(kind))
    simulator.faults.add("/workflow", Fault("status", status=429, retry_after="0"))

    assert list_ids(client, lab) == ids[::-1]
    assert client.http.metrics.snapshot().retries == 5


def test_an_older_server_is_listed_whole(world: World, lab: int, connect: Connect) -> None:
    """Neither counts nor flags: short pages alone tell the end (API fact 3)."""
    ids = submit_many(world, lab, 100)
    walked = PaginationStats()

    with serve(Simulator(world, limit=None, profile=ServerProfile(legacy=True))) as url:
        older = TowerClient(connect(url))
        pages: list[list[Any]] = list(older.list_runs(lab, walked))

    assert [e["workflow"]["id"] for page in pages for e in page] == ids[::-1]
    assert (walked.reported_totals, walked.count_matches, walked.was_modified) == ([], True, False)
