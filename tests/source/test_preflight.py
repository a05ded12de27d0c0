"""Which workspaces a token sees, and which of them are meant."""

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
def test_selectors(selectors: tuple[str, ...], expected: tuple[Workspace, ...]) -> None:
    """An id, a name in any case, or a pattern; each workspace once."""
    assert select_workspaces(VISIBLE, selectors) == (expected, {})


@pytest.mark.parametrize("selector", ["lab", "acme", "9", "acme/lab/x", ""])
def test_selectors_that_name_nothing_are_an_error(selector: str) -> None:
    """The message lists what there is."""
    with pytest.raises(
        ConfigurationError, match=r"It sees personal, acme/lab \(1\), acme/annex \(2\)"
    ):
        select_workspaces(VISIBLE, (selector, "none"))


@pytest.mark.parametrize("selector", ["lab", "acme", "9", "acme/lab/x", ""])
def test_a_selector_that_names_nothing_is_reported_beside_those_that_do(selector: str) -> None:
    """A name mistyped in a job would otherwise drop a workspace silently."""
    selected, unmatched = select_workspaces(VISIBLE, ("acme/lab", selector))
    assert selected == (LAB,)
    assert list(unmatched) == [selector]
    assert f"No workspace {selector!r}" in unmatched[selector]


def test_a_long_list_is_cut_in_the_message() -> None:
    """Hundreds of names help nobody."""
    many = tuple(Workspace(number, f"acme/w{number}", {}) for number in range(1, 21))
    with pytest.raises(ConfigurationError, match="and 12 more"):
        select_workspaces(many, ("none",))


@pytest.mark.parametrize(
    ("selector", "meant"),
    [("acme/lap", "acme/lab"), ("ACME", "ACME/\\*"), ("personel", "personal")],
)
def test_a_workspace_that_was_meant_is_named(selector: str, meant: str) -> None:
    """Before those that there are, which may be many."""
    with pytest.raises(ConfigurationError, match=f"Did you mean {meant}.*It sees"):
        select_workspaces(VISIBLE, (selector,))


def test_entries_without_a_workspace_are_organisations() -> None:
    """API fact 13."""
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
    """A client of the simulated platform."""
    return TowerClient(connect(endpoint))


def test_discovery_takes_three_calls(
    client: TowerClient, simulator: Simulator, world: World
) -> None:
    """Who the server is, who we are, what we see."""
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    discovery = discover(client, ("acme/*",))
    assert (discovery.api_version, [space.id for space in discovery.workspaces]) == (
        "1.187.0",
        [lab],
    )
    assert len(simulator.calls) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_after_the_server_said_its_version_is_the_tokens_fault(
    client: TowerClient, simulator: Simulator, status: int
) -> None:
    """API fact 11."""
    simulator.faults.add("/user-info", Fault("status", status=status))
    with pytest.raises(AuthenticationError, match="set TOWER_ACCESS_TOKEN"):
        discover(client, ())


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_server_that_does_not_say_its_version_is_no_platform(
    client: TowerClient, simulator: Simulator, status: int
) -> None:
    """`/service-info` needs no token: whoever refuses it is something else."""
    simulator.faults.add("/service-info", Fault("status", status=status))
    with pytest.raises(ServerError, match="ends in /api"):
        discover(client, ())
