"""Discovery of the workspaces that a token sees, and their selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.api import TowerClient
from tower_etl.errors import AuthenticationError, ConfigurationError, ServerError
from tower_etl.extract.discovery import (
    Workspace,
    discover,
    select_workspaces,
    visible_workspaces,
)
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.http import JsonHttpClient
    from tower_etl.simulator import Simulator, World

PERSONAL = Workspace(None, "personal", {})
LAB, ANNEX = Workspace(1, "acme/lab", {}), Workspace(2, "acme/annex", {})
OTHER = Workspace(3, "Umbrella/lab", {})
VISIBLE = (PERSONAL, LAB, ANNEX, OTHER)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ((), VISIBLE),
        (("1",), (LAB,)),
        (("acme/lab",), (LAB,)),
        (("ACME/Lab",), (LAB,)),
        ((" acme/lab ",), (LAB,)),
        (("acme/*",), (LAB, ANNEX)),
        (("*/lab",), (LAB, OTHER)),
        (("umbrella/la?",), (OTHER,)),
        (("2", "acme/*"), (ANNEX, LAB)),
        (("personal",), (PERSONAL,)),
        (("*",), VISIBLE),
    ],
)
def test_selectors_match_ids_names_and_patterns(
    selectors: tuple[str, ...], expected: tuple[Workspace, ...]
) -> None:
    """Names match in any case, and each workspace is selected once."""
    assert select_workspaces(VISIBLE, selectors) == (expected, {})


@pytest.mark.parametrize("selector", ["lab", "acme", "9", "acme/lab/x", ""])
def test_selectors_without_any_match_are_an_error(selector: str) -> None:
    """The message lists the visible workspaces."""
    with pytest.raises(
        ConfigurationError, match=r"It sees personal, acme/lab \(1\), acme/annex \(2\)"
    ):
        select_workspaces(VISIBLE, (selector, "none"))


@pytest.mark.parametrize("selector", ["lab", "acme", "9", "acme/lab/x", ""])
def test_a_selector_without_a_match_is_reported_if_others_match(selector: str) -> None:
    """Otherwise a typo in a job would silently drop a workspace."""
    selected, unmatched = select_workspaces(VISIBLE, ("acme/lab", selector))
    assert selected == (LAB,)
    assert list(unmatched) == [selector]
    assert f"No workspace {selector!r}" in unmatched[selector]


def test_a_long_list_of_workspaces_is_cut_in_the_message() -> None:
    many = tuple(Workspace(number, f"acme/w{number}", {}) for number in range(1, 21))
    with pytest.raises(ConfigurationError, match="and 12 more"):
        select_workspaces(many, ("none",))


@pytest.mark.parametrize(
    ("selector", "meant"),
    [("acme/lap", "acme/lab"), ("ACME", "ACME/\\*"), ("personel", "personal")],
)
def test_the_message_suggests_a_similar_workspace(selector: str, meant: str) -> None:
    """The suggestion precedes the list of visible workspaces, which may be long."""
    with pytest.raises(ConfigurationError, match=f"Did you mean {meant}.*It sees"):
        select_workspaces(VISIBLE, (selector,))


def test_roles_without_a_workspace_are_not_selected_as_workspaces() -> None:
    """They are roles in an organization (API fact 13)."""
    roles: list[dict[str, Any]] = [
        {"orgId": 7, "orgName": "acme", "workspaceId": None, "workspaceName": None},
        {"orgId": 7, "orgName": "acme", "workspaceId": 1, "workspaceName": "lab"},
    ]
    assert [space.name for space in visible_workspaces(roles, personal=True)] == [
        "personal",
        "acme/lab",
    ]
    assert [space.id for space in visible_workspaces(roles, personal=False)] == [1]


@pytest.fixture
def client(endpoint: str, connect: Callable[..., JsonHttpClient]) -> TowerClient:
    """Return a client of the simulated platform."""
    return TowerClient(connect(endpoint))


def test_discovery_takes_three_calls(
    client: TowerClient, simulator: Simulator, world: World
) -> None:
    """The calls return the server's version, the user and the visible workspaces."""
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    discovery = discover(client, ("acme/*",))
    assert (discovery.api_version, [space.id for space in discovery.workspaces]) == (
        "1.187.0",
        [lab],
    )
    assert len(simulator.calls) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_user_call_is_an_authentication_error(
    client: TowerClient, simulator: Simulator, status: int
) -> None:
    """The server has sent its version, so the token is at fault (API fact 11)."""
    simulator.faults.add("/user-info", Fault("status", status=status))
    with pytest.raises(AuthenticationError, match="set TOWER_ACCESS_TOKEN"):
        discover(client, ())


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_refusal_of_service_info_is_an_endpoint_problem(
    client: TowerClient, simulator: Simulator, status: int
) -> None:
    """`/service-info` needs no token, so the platform itself does not refuse it."""
    simulator.faults.add("/service-info", Fault("status", status=status))
    with pytest.raises(ServerError, match="ends in /api"):
        discover(client, ())
