"""Discovery of the server, the user and the visible workspaces, from recorded responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cassettes import scenarios
from tower_etl.api import PathScope, endpoints
from tower_etl.errors import AuthenticationError, ConfigurationError, ServerError
from tower_etl.extract.discovery import discover
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import TowerClient

    Ask = Callable[..., TowerClient]

WRONG_TOKEN = "opens-nothing-at-all"


def test_discovery_finds_every_workspace(ask: Ask) -> None:
    """Discovery takes three calls.

    It finds the server's version, the user, the personal workspace and those of both
    organizations.
    """
    client = ask(scenarios.serve_small_account)
    discovery = discover(client, ())
    names = [(None, "personal"), (scenarios.RESEARCH, "acme/research")]
    names += [(scenarios.CLINIC, "acme/clinic"), (scenarios.LAB, "beta/lab")]
    assert names == [(space.id, space.name) for space in discovery.workspaces]
    assert (discovery.server_version, discovery.api_version) == ("26.2.0-sim", "1.187.0")
    assert discovery.user_name == "user-1"
    assert client.http.metrics.snapshot().calls == 3


def test_a_selector_pattern_selects_workspaces_by_name(ask: Ask) -> None:
    """The pattern `acme/*` selects the workspaces of one organization."""
    discovery = discover(ask(scenarios.serve_small_account), ("acme/*",))
    assert [space.name for space in discovery.workspaces] == ["acme/research", "acme/clinic"]


def test_an_unknown_workspace_is_an_error_that_lists_the_visible_ones(ask: Ask) -> None:
    """The error message also lists the workspaces that the token can see."""
    client = ask(scenarios.serve_small_account)
    with pytest.raises(ConfigurationError, match=r"No workspace 'acme/none'.*beta/lab"):
        discover(client, ("acme/none",))


def test_roles_organizations_and_workspaces_are_listed(ask: Ask) -> None:
    """The user's roles name every organization and workspace."""
    client = ask(scenarios.serve_small_account)
    roles = client.list_user_workspaces(scenarios.USER).items
    places = [(scenarios.ACME, None), (scenarios.BETA, None), (scenarios.ACME, scenarios.RESEARCH)]
    places += [(scenarios.ACME, scenarios.CLINIC), (scenarios.BETA, scenarios.LAB)]
    assert places == [(role["orgId"], role["workspaceId"]) for role in roles]
    organizations = client.list_entity(endpoints.ORGANIZATIONS, PathScope()).items
    assert [org["name"] for org in organizations] == ["acme", "beta"]
    scope = PathScope(org_id=scenarios.BETA)
    (lab,) = client.list_entity(endpoints.ORG_WORKSPACES, scope).items
    assert (lab["id"], lab["name"], lab["visibility"]) == (scenarios.LAB, "lab", "SHARED")


def test_a_wrong_token_is_refused_with_401(ask: Ask) -> None:
    """The server shows its version to any token, but the user to a valid one only."""
    client = ask(scenarios.serve_small_account, token=WRONG_TOKEN)
    with pytest.raises(AuthenticationError, match="refuses the token") as caught:
        discover(client, ())
    assert caught.value.status_code == 401
    assert WRONG_TOKEN not in str(caught.value)


def test_a_wrong_token_is_refused_with_403(ask: Ask) -> None:
    """Some servers send 403 instead of 401 for an unknown token."""
    client = ask(lambda: scenarios.serve_small_account(("/user-info", Fault("status", 403))))
    with pytest.raises(AuthenticationError, match="refuses the token") as caught:
        discover(client, ())
    assert caught.value.status_code == 403


def test_a_server_without_service_info_is_not_the_platform(ask: Ask) -> None:
    """A 404 for `/service-info` means that the endpoint is not the platform's API."""
    client = ask(lambda: scenarios.serve_small_account(("/service-info", Fault("status", 404))))
    with pytest.raises(ServerError, match="does not answer as the platform's API does"):
        discover(client, ())
