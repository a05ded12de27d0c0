"""Values of another kind than the platform's, where a sync looks at them itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_malformed import make_client
from tower_etl.errors import ServerError
from tower_etl.extract.discovery import discover, visible_workspaces
from tower_etl.extract.listing import parse_listed_run

ODD: list[Any] = [7, 2.5, True, [], {"a": 1}, ["SUCCEEDED"], {"id": [1]}]


@pytest.mark.parametrize("odd", ODD)
def test_a_status_that_is_no_text_is_none(odd: object) -> None:
    """It is compared with texts, and a list cannot be."""
    assert parse_listed_run({"workflow": {"id": "r", "status": odd}}).status is None


@pytest.mark.parametrize("odd", ["yes", 1, 0, [], {"deep": [[]]}])
def test_a_star_that_is_no_flag_is_none(odd: object) -> None:
    """It is kept in the state."""
    assert parse_listed_run({"workflow": {"id": "r"}, "starred": odd}).starred is None


@pytest.mark.parametrize("odd", ODD)
def test_a_version_that_is_no_text_is_none(odd: object) -> None:
    """It is written into the row of the sync."""
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
def test_an_id_that_no_column_holds_is_none(odd: object) -> None:
    """Neither of a user, nor of a workspace."""
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
def test_a_role_whose_ids_are_none_is_left_out(name: str, odd: object) -> None:
    """The others are there; a null is no fault (an organisation has no workspace)."""
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

    assert discover(client, ()).roles == tuple(roles)
