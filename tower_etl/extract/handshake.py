"""The first three calls of a sync, and explanations of their failures.

`/service-info` needs no token: a denial of it comes from a gateway, or from another server than the
platform. A later denial concerns the token (API fact 11).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from tower_etl.api import EntityList, Finding, endpoints
from tower_etl.errors import (
    AuthenticationError,
    BadRequestError,
    EndpointError,
    ForbiddenError,
    MalformedResponseError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from tower_etl.lossless import parse_integer

if TYPE_CHECKING:
    from tower_etl.api import Item, TowerClient
    from tower_etl.errors import ApiError

T = TypeVar("T")
Explain = Callable[[str, int | None], "ApiError"]
"""Function that returns the error for an endpoint and an HTTP status."""

_MEMBERSHIPS_ENDPOINT = f"GET {endpoints.USER_WORKSPACES.path}"
_LEFT_OUT = "{} element(s) without a usable id were left out"
_MEMBERSHIPS_PATH = "/user/{id}/workspaces"
_GATEWAY = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
_LATER = "Run the command again later; if the error persists, tell the server's administrator."
_WHERE = "The endpoint of a self-hosted server ends in /api, as in https://tower.example.org/api."


def request_service_info(client: TowerClient) -> Item:
    """Return the service information of the server, empty if the response has another shape.

    Only the version is unknown then: the request for the user shows whether this is the platform.

    Raises:
        EndpointError: The response is not that of the platform's API.
        ApiError: The server cannot be reached, or fails.
    """
    try:
        return _request(
            client, client.get_service_info, _explain_denied_service, _explain_missing_service
        )
    except MalformedResponseError:
        problem = f"the answer has no object under {endpoints.SERVICE_INFO.records_key!r}"
        advice = (
            "The version of the server is unknown, and the personal workspace counts as enabled. "
            "Report it to the administrator of the server."
        )
        client.findings.add(Finding(f"GET {endpoints.SERVICE_INFO.path}", problem, advice))
        return {}


def request_user(client: TowerClient) -> Item:
    """Return the user of the token; its `id` is valid.

    Raises:
        AuthenticationError: The server rejects the token.
        EndpointError: The server lacks the call.
        ApiError: The server cannot be reached, or fails.
    """
    explain_missing = partial(_explain_missing_endpoint, "/user-info", "the user of the token")
    user = _request(client, client.get_user, _explain_denied_token, explain_missing)
    user_id = parse_integer(user.get("id"))
    if user_id is None:
        msg = (
            "GET /user-info: the answer names no user id, so its workspaces cannot be listed. The "
            "endpoint may not be a Seqera Platform API: check it with `tower-etl check`."
        )
        raise ServerError(msg)
    return {**user, "id": user_id}


def request_memberships(client: TowerClient, user: Item) -> EntityList:
    """Return the organizations and workspaces of the user, with their ids as numbers.

    Raises:
        AuthenticationError: The token may not list them.
        EndpointError: The server lacks the call.
        ApiError: The server cannot be reached, or fails.
    """
    request = partial(client.list_user_workspaces, user["id"])
    path, response = _MEMBERSHIPS_PATH, "the workspaces of the user"
    explain_missing = partial(_explain_missing_endpoint, path, response)
    listed = _request(client, request, _explain_denied_memberships, explain_missing)
    items = [item for item in map(_parse_membership, listed.items) if item is not None]
    left_out = listed.left_out + len(listed.items) - len(items)
    if left_out:
        advice = (
            "A workspace or organization that one of them stands for is not synced. Report it to "
            "the administrator of the server."
        )
        client.findings.add(Finding(_MEMBERSHIPS_ENDPOINT, _LEFT_OUT, advice), count=left_out)
    return EntityList(items, complete=not left_out, left_out=left_out)


def _parse_membership(item: Item) -> Item | None:
    """Return an element with its ids as numbers, None if one of them is invalid."""
    ids = {name: item.get(name) for name in ("orgId", "workspaceId")}
    parsed = {name: parse_integer(value) for name, value in ids.items() if value is not None}
    return None if None in parsed.values() else {**item, **parsed}


def _request(
    client: TowerClient,
    call: Callable[[], T],
    explain_denied: Explain,
    explain_missing: Explain,
) -> T:
    """Make a call, and explain a denial (status 401, 403) and a missing endpoint (400, 404)."""
    endpoint = client.http.endpoint
    try:
        return call()
    except (AuthenticationError, ForbiddenError) as error:
        raise explain_denied(endpoint, error.status_code) from None
    except (NotFoundError, BadRequestError) as error:
        raise explain_missing(endpoint, error.status_code) from None
    except (ServerError, RateLimitError) as error:
        raise _explain_fault(endpoint, error) from None


def _explain_denied_service(endpoint: str, status: int | None) -> ApiError:
    msg = (
        f"{endpoint} does not answer as the platform's API does: /service-info needs no token, and "
        f"is refused (status {status}). A gateway or login page may be in front of it: exempt the "
        f"API from it, or call from inside its network. {_WHERE}"
    )
    return EndpointError(msg, status_code=status)


def _explain_missing_service(endpoint: str, status: int | None) -> ApiError:
    msg = (
        f"{endpoint} does not answer as the platform's API does (status {status} for "
        f"/service-info). Check the endpoint. {_WHERE}"
    )
    return EndpointError(msg, status_code=status)


def _explain_denied_token(endpoint: str, status: int | None) -> ApiError:
    msg = (
        f"{endpoint} refuses the token (status {status} for /user-info). It may have expired, or "
        "belong to another server: create one under 'Your tokens' there and set "
        "TOWER_ACCESS_TOKEN."
    )
    return AuthenticationError(msg, status_code=status)


def _explain_denied_memberships(endpoint: str, status: int | None) -> ApiError:
    msg = (
        f"{endpoint} accepts the token for /user-info, but not for {_MEMBERSHIPS_PATH} (status "
        f"{status}), so the workspaces of its user cannot be listed. Create a token of a user that "
        "has access, and set TOWER_ACCESS_TOKEN."
    )
    return AuthenticationError(msg, status_code=status)


def _explain_missing_endpoint(
    path: str, response: str, endpoint: str, status: int | None
) -> ApiError:
    """Return the error for a server that responds to `/service-info`, but lacks a call."""
    msg = (
        f"{endpoint} responds to /service-info, but not to {path} (status {status}), which returns "
        f"{response}. Open-source Tower lacks this call, and a gateway may hide it. Give the "
        "endpoint of a Seqera Platform (cloud or enterprise), or let the gateway pass all calls of "
        "its API."
    )
    return EndpointError(msg, status_code=status)


def _explain_fault(endpoint: str, error: ApiError) -> ApiError:
    """Return the error with the next action appended, unless its message has one."""
    remedy = _find_remedy(endpoint, error)
    if isinstance(error, EndpointError) or not remedy:
        return error
    return type(error)(
        f"{error} {remedy}", status_code=error.status_code, retry_after=error.retry_after
    )


def _find_remedy(endpoint: str, error: ApiError) -> str:
    status = error.status_code
    if isinstance(error, RateLimitError):
        return "Other programs use this token: wait, or give --budget-share 0.5 or --rate 5."
    if status is None:
        return ""
    if status < HTTPStatus.BAD_REQUEST:
        return f"{endpoint} must be the address of the API, not of web pages. {_WHERE}"
    if status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return "This network requires a login first: open a web page in a browser, then run again."
    gateway = "A gateway answers for the platform, which is down, restarting or overloaded. "
    return gateway * (status in _GATEWAY) + _LATER
