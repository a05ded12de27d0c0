"""Who the server is, whose the token is, and what it may see, from recorded answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cassettes import scenarios
from tower_etl.errors import AuthenticationError, ConfigurationError, ServerError
from tower_etl.extract.discovery import discover
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import TowerClient

    Ask = Callable[..., TowerClient]

WRONG_TOKEN = "opens-nothing-at-all"


def test_discovery_finds_every_workspace(ask: Ask) -> None:
    """Version, user, the personal workspace and those of both organisations, in three calls."""
    client = ask(scenarios.serve_house)
    discovery = discover(client, ())
    names = [(None, "personal"), (scenarios.RESEARCH, "acme/research")]
    names += [(scenarios.CLINIC, "acme/clinic"), (scenarios.LAB, "beta/lab")]
    assert names == [(space.id, space.name) for space in discovery.workspaces]
    assert (discovery.server_version, discovery.api_version) == ("26.2.0-sim", "1.187.0")
    assert discovery.user_name == "user-1"
    assert client.http.metrics.snapshot().calls == 3


def test_a_selector_picks_workspaces_by_name(ask: Ask) -> None:
    """A pattern picks those of one organisation."""
    discovery = discover(ask(scenarios.serve_house), ("acme/*",))
    assert [space.name for space in discovery.workspaces] == ["acme/research", "acme/clinic"]


def test_an_unknown_workspace_is_named_with_those_there_are(ask: Ask) -> None:
    """The message says what the token sees instead."""
    client = ask(scenarios.serve_house)
    with pytest.raises(ConfigurationError, match=r"No workspace 'acme/none'.*beta/lab"):
        discover(client, ("acme/none",))


def test_organisations_and_workspaces_are_listed(ask: Ask) -> None:
    """Roles, organisations, and the workspaces of one."""
    client = ask(scenarios.serve_house)
    roles = client.list_user_workspaces(scenarios.USER).items
    places = [(scenarios.ACME, None), (scenarios.BETA, None), (scenarios.ACME, scenarios.RESEARCH)]
    places += [(scenarios.ACME, scenarios.CLINIC), (scenarios.BETA, scenarios.LAB)]
    assert places == [(role["orgId"], role["workspaceId"]) for role in roles]
    assert [org["name"] for org in client.list_organizations()] == ["acme", "beta"]
    (lab,) = client.list_org_workspaces(scenarios.BETA)
    assert (lab["id"], lab["name"], lab["visibility"]) == (scenarios.LAB, "lab", "SHARED")


def test_a_wrong_token_is_refused_with_401(ask: Ask) -> None:
    """The server says its version, but not to this token who it belongs to."""
    client = ask(scenarios.serve_house, token=WRONG_TOKEN)
    with pytest.raises(AuthenticationError, match="refuses the token") as caught:
        discover(client, ())
    assert caught.value.status_code == 401
    assert WRONG_TOKEN not in str(caught.value)


def test_a_wrong_token_is_refused_with_403(ask: Ask) -> None:
    """Other servers say 403 to a token that they do not know."""
    client = ask(lambda: scenarios.serve_house(("/user-info", Fault("status", 403))))
    with pytest.raises(AuthenticationError, match="refuses the token") as caught:
        discover(client, ())
    assert caught.value.status_code == 403


def test_another_server_is_told_from_the_platform(ask: Ask) -> None:
    """404 for the service's own address means that the endpoint is wrong."""
    client = ask(lambda: scenarios.serve_house(("/service-info", Fault("status", 404))))
    with pytest.raises(ServerError, match="does not answer as the platform's API does"):
        discover(client, ())
