"""Values of an unexpected type in the responses that a sync evaluates itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_malformed import make_client
from tower_etl.errors import ServerError
from tower_etl.extract.discovery import discover, visible_workspaces
from tower_etl.extract.listing import parse_listed_run

ODD: list[Any] = [7, 2.5, True, [], {"a": 1}, ["SUCCEEDED"], {"id": [1]}]


@pytest.mark.parametrize("odd", ODD)
def test_a_status_that_is_not_text_is_read_as_none(odd: object) -> None:
    """The status is compared with a set of texts, which fails for a list."""
    assert parse_listed_run({"workflow": {"id": "r", "status": odd}}).status is None


@pytest.mark.parametrize("odd", ["yes", 1, 0, [], {"deep": [[]]}])
def test_a_star_that_is_not_a_boolean_is_read_as_none(odd: object) -> None:
    """The value is stored in the state."""
    assert parse_listed_run({"workflow": {"id": "r"}, "starred": odd}).starred is None


@pytest.mark.parametrize("odd", ODD)
def test_a_version_or_user_name_that_is_not_text_is_read_as_none(odd: object) -> None:
    """The values are written to the sync run record."""
    answers: dict[str, dict[str, Any]] = {
        "/service-info": {"serviceInfo": {"version": odd, "apiVersion": odd}},
        "/user-info": {"user": {"id": 1, "userName": odd}},
        "/user/1/workspaces": {"orgsAndWorkspaces": []},
    }
    client, _ = make_client(lambda path, _: answers[path])

    discovery = discover(client, ())

    assert (discovery.server_version, discovery.api_version, discovery.user_name) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize("odd", [True, 2**63, 2**64 - 1, "x", "", str(2**63), 1.0, None, []])
def test_an_id_that_does_not_fit_its_column_is_rejected(odd: object) -> None:
    """An invalid user id is an error; a workspace with an invalid id is left out."""
    answers: dict[str, dict[str, Any]] = {
        "/service-info": {"serviceInfo": {}},
        "/user-info": {"user": {"id": odd}},
    }
    client, _ = make_client(lambda path, _: answers[path])

    with pytest.raises(ServerError, match="names no user id"):
        discover(client, ())
    assert visible_workspaces([{"workspaceId": odd}], personal=False) == ()


@pytest.mark.parametrize("odd", [True, 2**63, "x", "", "01", 1.0, [], {"a": 1}])
@pytest.mark.parametrize("name", ["orgId", "workspaceId"])
def test_a_role_with_an_invalid_id_is_left_out(name: str, odd: object) -> None:
    """Other roles are kept. A null workspace id is valid: such a role is one in an organization."""
    roles: list[dict[str, Any]] = [
        {"orgId": 1, "workspaceId": 2},
        {"orgId": 1, "workspaceId": None},
    ]
    answers: dict[str, dict[str, Any]] = {
        "/service-info": {"serviceInfo": {}},
        "/user-info": {"user": {"id": 1}},
        "/user/1/workspaces": {"orgsAndWorkspaces": [*roles, {**roles[0], name: odd}]},
    }
    client, _ = make_client(lambda path, _: answers[path])

    assert discover(client, ()).memberships == tuple(roles)
