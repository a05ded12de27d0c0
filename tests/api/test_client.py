"""API client against a simulated platform: its requests, and how it reads the responses."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tests.api.tasks import list_tasks
from tower_etl.api import PaginationStats, PathScope, TowerClient, endpoints, format_timestamp
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
    from tower_etl.simulator.calls import Call

    Connect = Callable[..., JsonHttpClient]


def submit_many(world: World, workspace_id: int, count: int) -> list[str]:
    """Submit runs one minute apart, and return their ids, oldest first."""
    ids = []
    for _ in range(count):
        world.clock.advance(60)
        ids.append(world.submit_run(workspace_id))
    return ids


def list_ids(client: TowerClient, workspace_id: int | None, **bounds: datetime) -> list[str]:
    """Return the ids of the runs, in the order of the listing."""
    pages = client.iter_run_pages(workspace_id, PaginationStats(), **bounds)
    return [element["workflow"]["id"] for page in pages for element in page]


def read_queries(simulator: Simulator, path: str) -> list[dict[str, list[str]]]:
    """Return the parameters of every call whose path ends with the given one."""
    return [parse_qs(call.query) for call in simulator.calls if call.path.endswith(path)]


def test_runs_are_listed_newest_first(client: TowerClient, world: World, lab: int) -> None:
    """The listing has three pages."""
    ids = submit_many(world, lab, 250)

    assert list_ids(client, lab) == ids[::-1]


def test_paged_endpoints_are_requested_with_the_largest_page_size(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Without `max`, a page has 50 or 10 items (API fact 1)."""
    run_id = world.submit_run(lab)
    world.create_label(lab, "urgent")

    list_ids(client, lab)
    list_tasks(client, lab, run_id)
    client.list_entity(endpoints.LABELS, PathScope(lab))

    asked = [read_queries(simulator, path)[0] for path in ("/workflow", "/tasks", "/labels")]
    assert [(query["max"], query["offset"]) for query in asked] == [(["100"], ["0"])] * 3
    assert all(query["workspaceId"] == [str(lab)] for query in asked)


def test_the_personal_workspace_is_requested_without_an_id(
    client: TowerClient, simulator: Simulator, world: World
) -> None:
    """It has no id (API fact 13)."""
    run_id = world.submit_run(None)

    assert list_ids(client, None) == [run_id]
    assert client.get_run(None, run_id)["workflow"]["id"] == run_id
    assert all("workspaceId" not in parse_qs(call.query) for call in simulator.calls)


def test_runs_are_listed_with_their_labels_and_the_total(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """The server sends both only on request (API facts 3 and 14)."""
    run_id, label_id = world.submit_run(lab), world.create_label(lab, "urgent")
    world.set_labels(run_id, [label_id])
    walked = PaginationStats()

    elements = [element for page in client.iter_run_pages(lab, walked) for element in page]

    assert [label["id"] for label in elements[0]["labels"]] == [label_id]
    assert (walked.reported_totals, walked.count_matches) == ([1], True)
    assert read_queries(simulator, "/workflow")[0]["attributes"] == ["labels"]


def test_listing_bounds_are_inclusive_and_sent_as_a_search(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """The search has the format of API fact 4."""
    ids = submit_many(world, lab, 5)
    start = world.clock.now() - timedelta(minutes=4)

    found = list_ids(
        client, lab, after=start + timedelta(minutes=1), before=start + timedelta(minutes=3)
    )

    assert found == ids[1:4][::-1]
    search = "after:2026-03-01T12:02:00.000Z before:2026-03-01T12:04:00.000Z"
    assert read_queries(simulator, "/workflow")[0]["search"] == [search]


def test_a_listing_without_bounds_sends_no_search(
    client: TowerClient, simulator: Simulator, lab: int
) -> None:
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
def test_search_timestamps_are_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    """Microseconds are truncated, so that `after:` excludes no run."""
    assert format_timestamp(moment) == text


def test_a_deletion_between_two_pages_loses_no_run(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """It shifts runs to a page that was read already, which the pagination detects."""
    ids = submit_many(world, lab, 250)
    doomed = [ids[-1], ids[-30], ids[-31]]

    def delete(number: int, _: Call) -> None:
        if number == 1:
            for run_id in doomed:
                world.delete_run(run_id)

    simulator.before_call = delete
    walked = PaginationStats()
    listed = [e["workflow"]["id"] for page in client.iter_run_pages(lab, walked) for e in page]

    assert set(ids) - set(doomed) <= set(listed)
    assert len(listed) == len(set(listed))
    assert walked.was_modified


def test_a_submission_between_two_pages_loses_no_run(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """It shifts runs to later pages, and no run is returned twice."""
    ids = submit_many(world, lab, 250)

    def arrive(number: int, _: Call) -> None:
        if number:
            submit_many(world, lab, 7)

    simulator.before_call = arrive

    listed = list_ids(client, lab)

    assert [run_id for run_id in listed if run_id in ids] == ids[::-1]


def test_labels_of_several_pages_are_listed(client: TowerClient, world: World, lab: int) -> None:
    ids = [world.create_label(lab, f"label-{number}") for number in range(130)]

    assert [
        label["id"] for label in client.list_entity(endpoints.LABELS, PathScope(lab)).items
    ] == ids


def test_organizations_and_workspaces_are_listed(
    client: TowerClient, world: World, lab: int
) -> None:
    user = client.get_user()
    org_id = client.list_entity(endpoints.ORGANIZATIONS, PathScope()).items[0]["orgId"]

    roles = client.list_user_workspaces(user["id"]).items

    assert [(role["orgId"], role["workspaceId"]) for role in roles] == [
        (org_id, None),
        (org_id, lab),
    ]
    assert [
        space["id"]
        for space in client.list_entity(endpoints.ORG_WORKSPACES, PathScope(org_id=org_id)).items
    ] == [lab]


def test_an_invalid_token_can_read_only_service_info(endpoint: str, connect: Connect) -> None:
    """`/service-info` requires no token (API fact 11), which tells it from a wrong address."""
    stranger = TowerClient(connect(endpoint, "wrong"))

    assert stranger.get_service_info()["apiVersion"] == ServerProfile().api_version
    with pytest.raises(AuthenticationError):
        stranger.get_user()


def test_a_forbidden_workspace_raises_forbidden_error_without_retry(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """The same token can read `/user-info`."""
    world.forbid(lab)

    assert client.get_user()["userName"] == world.owner().name
    with pytest.raises(ForbiddenError, match="GET /workflow: the server answered 403"):
        list_ids(client, lab)
    assert len(read_queries(simulator, "/workflow")) == 1


def test_get_service_info_makes_fewer_attempts_than_other_calls(connect: Connect) -> None:
    """It is the first call of a sync, so that a wrong address is reported soon."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    dead = TowerClient(connect(f"http://127.0.0.1:{port}/api", attempts=6))

    with pytest.raises(ApiConnectionError):
        dead.get_service_info()

    assert 2 <= dead.http.metrics.snapshot().calls < 6


def test_transient_faults_are_retried_and_lose_no_run(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    ids = submit_many(world, lab, 150)
    for kind in ("reset", "truncated", "half_json", "html"):
        simulator.faults.add("/workflow", Fault(kind))
    simulator.faults.add("/workflow", Fault("status", status=429, retry_after="0"))

    assert list_ids(client, lab) == ids[::-1]
    assert client.http.metrics.snapshot().retries == 5


def test_a_legacy_server_is_listed_in_full(world: World, lab: int, connect: Connect) -> None:
    """Without totals and flags, only a short page shows the end (API fact 3)."""
    ids = submit_many(world, lab, 100)
    walked = PaginationStats()

    with serve(Simulator(world, limit=None, profile=ServerProfile(legacy=True))) as url:
        older = TowerClient(connect(url))
        pages: list[list[Any]] = list(older.iter_run_pages(lab, walked))

    assert [e["workflow"]["id"] for page in pages for e in page] == ids[::-1]
    assert (walked.reported_totals, walked.count_matches, walked.was_modified) == ([], True, False)
