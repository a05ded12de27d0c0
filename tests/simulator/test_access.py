"""Access control of the simulator: tokens, workspaces, organizations and unknown routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.simulator import ServerProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import SimClock, World


@pytest.mark.parametrize("token", [None, "wrong"])
def test_calls_require_a_valid_token_except_service_info(
    world: World, call: Callable[..., Caller], token: str | None
) -> None:
    caller = call(world, token=token)

    assert [caller.status(path) for path in ("/user-info", "/workflow", "/service-info")] == [
        401,
        401,
        200,
    ]


def test_service_info_returns_the_values_of_the_server_profile(
    world: World, call: Callable[..., Caller]
) -> None:
    profile = ServerProfile(version="24.1.0", api_version="1.140.0", user_workspace=False)

    info = call(world, profile=profile).get("/service-info")["serviceInfo"]

    expected = {"version": "24.1.0", "apiVersion": "1.140.0", "userWorkspaceEnabled": False}
    assert expected == {name: info[name] for name in expected}


def test_visible_organizations_and_workspaces_are_listed(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """In the list of a user, an organization is an entry with a null workspace."""
    (org,) = world.organizations
    caller = call(world)
    user = caller.get("/user-info")["user"]["id"]

    entries = caller.get(f"/user/{user}/workspaces")["orgsAndWorkspaces"]

    assert [(org, None), (org, lab)] == [(e["orgId"], e["workspaceId"]) for e in entries]
    assert [org] == [entry["orgId"] for entry in caller.get("/orgs")["organizations"]]
    assert [lab] == [entry["id"] for entry in caller.get(f"/orgs/{org}/workspaces")["workspaces"]]
    assert lab == caller.get(f"/orgs/{org}/workspaces/{lab}")["workspace"]["id"]


def test_a_token_sees_only_the_workspaces_of_its_user(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Other workspaces are not listed, and respond with 403."""
    (org,) = world.organizations
    other = world.add_workspace(org, "other")
    world.add_user("owner")
    guest = world.add_user("guest", workspaces=[other])
    caller = call(world, token="guest-token", tokens={"owner-token": None, "guest-token": guest})

    entries = caller.get(f"/user/{guest}/workspaces")["orgsAndWorkspaces"]

    assert [None, other] == [entry["workspaceId"] for entry in entries]
    assert [caller.status("/workflow", workspaceId=key) for key in (other, lab)] == [200, 403]


def test_an_organization_without_a_workspace_of_the_user_responds_with_403(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """This includes users without any workspace."""
    (org,) = world.organizations
    empty = world.add_organization("empty")
    world.add_user("owner")
    guest, stranger = world.add_user("guest", workspaces=[lab]), world.add_user("stranger", [])
    tokens = {"guest-token": guest, "stranger-token": stranger}
    callers = [call(world, token=token, tokens=tokens) for token in tokens]

    found = [
        [caller.status(f"/orgs/{org_id}/members") for org_id in (org, empty)] for caller in callers
    ]

    assert found == [[200, 403], [403, 403]]


def test_a_forbidden_workspace_is_listed_but_responds_with_403(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """`allow` reverts `forbid`."""
    caller = call(world)
    user = caller.get("/user-info")["user"]["id"]
    world.forbid(lab)

    entries = caller.get(f"/user/{user}/workspaces")["orgsAndWorkspaces"]
    refused = caller.status("/workflow", workspaceId=lab)
    world.allow(lab)

    assert lab in [entry["workspaceId"] for entry in entries]
    assert [refused, caller.status("/workflow", workspaceId=lab)] == [403, 200]


def test_calls_without_workspace_id_use_the_personal_workspace(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    own, foreign = world.submit_run(), world.submit_run(lab)
    caller = call(world)

    assert [own] == [e["workflow"]["id"] for e in caller.get("/workflow")["workflows"]]
    assert [caller.status(f"/workflow/{run}") for run in (own, foreign)] == [200, 403]


def test_calls_without_workspace_id_get_403_without_personal_workspaces(
    world: World, call: Callable[..., Caller]
) -> None:
    assert call(world, profile=ServerProfile(user_workspace=False)).status("/workflow") == 403


def test_runs_that_a_workspace_does_not_contain_respond_with_403(
    world: World, lab: int, clock: SimClock, call: Callable[..., Caller]
) -> None:
    """The runs are unknown, deleted, in another workspace, or submitted in the future."""
    deleted, ahead = world.submit_run(lab), world.submit_run(lab, submit="2026-03-02T00:00:00Z")
    world.delete_run(deleted)
    caller = call(world)
    runs = ("nowhere", deleted, world.submit_run(), ahead)

    assert [caller.status(f"/workflow/{run}", workspaceId=lab) for run in runs] == [403] * 4
    clock.advance(86_400)
    assert caller.status(f"/workflow/{ahead}", workspaceId=lab) == 200


def test_unknown_routes_and_missing_launches_respond_with_404(
    world: World, call: Callable[..., Caller]
) -> None:
    """A run that was started from the command line has no launch."""
    run = world.submit_run()
    launched = world.submit_run(launchId="W2VbOE0DTN6BUMbGGvb0A")
    caller = call(world)

    answer = caller.ask("/nothing-here")

    assert (answer.status_code, list(answer.json())) == (404, ["message"])
    assert caller.status(f"/workflow/{run}/launch") == 404
    launch = caller.get(f"/workflow/{launched}/launch")["launch"]
    assert launch["id"] == "W2VbOE0DTN6BUMbGGvb0A"
