"""Who may ask what: tokens, workspaces, organisations, routes that do not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.simulator import ServerProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import SimClock, World


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_call_needs_a_good_token(
    world: World, call: Callable[..., Caller], token: str | None
) -> None:
    """401 without one, or with another; service-info answers anyway."""
    caller = call(world, token=token)

    assert [caller.status(path) for path in ("/user-info", "/workflow", "/service-info")] == [
        401,
        401,
        200,
    ]


def test_service_info_tells_the_version(world: World, call: Callable[..., Caller]) -> None:
    """Version, API version and whether there are personal workspaces."""
    profile = ServerProfile(version="24.1.0", api_version="1.140.0", user_workspace=False)

    info = call(world, profile=profile).get("/service-info")["serviceInfo"]

    expected = {"version": "24.1.0", "apiVersion": "1.140.0", "userWorkspaceEnabled": False}
    assert expected == {name: info[name] for name in expected}


def test_a_user_finds_what_it_may_see(world: World, lab: int, call: Callable[..., Caller]) -> None:
    """The list of workspaces names organisations with a null workspace, then workspaces."""
    (org,) = world.organizations
    caller = call(world)
    user = caller.get("/user-info")["user"]["id"]

    entries = caller.get(f"/user/{user}/workspaces")["orgsAndWorkspaces"]

    assert [(org, None), (org, lab)] == [(e["orgId"], e["workspaceId"]) for e in entries]
    assert [org] == [entry["orgId"] for entry in caller.get("/orgs")["organizations"]]
    assert [lab] == [entry["id"] for entry in caller.get(f"/orgs/{org}/workspaces")["workspaces"]]
    assert lab == caller.get(f"/orgs/{org}/workspaces/{lab}")["workspace"]["id"]


def test_each_token_sees_its_own_workspaces(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """A user who is bound to one workspace gets 403 elsewhere, and does not see it listed."""
    (org,) = world.organizations
    other = world.add_workspace(org, "other")
    world.add_user("owner")
    guest = world.add_user("guest", workspaces=[other])
    caller = call(world, token="guest-token", tokens={"owner-token": None, "guest-token": guest})

    entries = caller.get(f"/user/{guest}/workspaces")["orgsAndWorkspaces"]

    assert [None, other] == [entry["workspaceId"] for entry in entries]
    assert [caller.status("/workflow", workspaceId=key) for key in (other, lab)] == [200, 403]


def test_a_forbidden_workspace_is_listed_and_refuses(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """What a caller can see it may still not be let into; that can be taken back."""
    caller = call(world)
    user = caller.get("/user-info")["user"]["id"]
    world.forbid(lab)

    entries = caller.get(f"/user/{user}/workspaces")["orgsAndWorkspaces"]
    refused = caller.status("/workflow", workspaceId=lab)
    world.allow(lab)

    assert lab in [entry["workspaceId"] for entry in entries]
    assert [refused, caller.status("/workflow", workspaceId=lab)] == [403, 200]


def test_without_a_workspace_a_call_speaks_of_the_personal_one(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Runs of the personal workspace are listed without workspaceId, and only there."""
    own, foreign = world.submit_run(), world.submit_run(lab)
    caller = call(world)

    assert [own] == [e["workflow"]["id"] for e in caller.get("/workflow")["workflows"]]
    assert [caller.status(f"/workflow/{run}") for run in (own, foreign)] == [200, 403]


def test_a_server_may_have_no_personal_workspaces(
    world: World, call: Callable[..., Caller]
) -> None:
    """Then a call without workspaceId is refused."""
    assert call(world, profile=ServerProfile(user_workspace=False)).status("/workflow") == 403


def test_runs_that_are_not_there_are_forbidden(
    world: World, lab: int, clock: SimClock, call: Callable[..., Caller]
) -> None:
    """403 for a run unknown, deleted, of another workspace, or still to come."""
    deleted, ahead = world.submit_run(lab), world.submit_run(lab, submit="2026-03-02T00:00:00Z")
    world.delete_run(deleted)
    caller = call(world)
    runs = ("nowhere", deleted, world.submit_run(), ahead)

    assert [caller.status(f"/workflow/{run}", workspaceId=lab) for run in runs] == [403] * 4
    clock.advance(86_400)
    assert caller.status(f"/workflow/{ahead}", workspaceId=lab) == 200


def test_unknown_routes_are_not_found(world: World, call: Callable[..., Caller]) -> None:
    """404 with a message; a run from the command line has no launch either."""
    run = world.submit_run()
    launched = world.submit_run(launchId="W2VbOE0DTN6BUMbGGvb0A")
    caller = call(world)

    answer = caller.ask("/nothing-here")

    assert (answer.status_code, list(answer.json())) == (404, ["message"])
    assert caller.status(f"/workflow/{run}/launch") == 404
    launch = caller.get(f"/workflow/{launched}/launch")["launch"]
    assert launch["id"] == "W2VbOE0DTN6BUMbGGvb0A"
