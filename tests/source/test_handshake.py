"""The three calls of discovery: every kind of failure has a distinct error and advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.conftest import ScriptedServer
from tower_etl.api import TowerClient
from tower_etl.errors import (
    ApiError,
    AuthenticationError,
    EndpointError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
)
from tower_etl.extract.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tower_etl.http import JsonHttpClient

    Fail = Callable[[int, int, bytes], ApiError]

SERVICE = {"serviceInfo": {"version": "25.1.0", "apiVersion": "1.100.0"}}
USER = {"user": {"id": 1, "userName": "ada"}}
ROLES: dict[str, list[object]] = {"orgsAndWorkspaces": []}
GOOD = [SERVICE, USER, ROLES]
PATHS = ("/service-info", "/user-info", "/user/{id}/workspaces")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Start a server with scripted responses."""
    started = ScriptedServer()
    yield started
    started.close()


@pytest.fixture
def fail(server: ScriptedServer, connect: Callable[..., JsonHttpClient]) -> Fail:
    """Return a function that fails in one of the three calls and returns the error.

    `fail(0, 404, b"")` fails in the first call, with status 404 and an empty body.
    """

    def run(call: int, status: int, body: bytes) -> ApiError:
        for answer in GOOD[:call]:
            server.answer(answer)
        kind = "text/html" if body.startswith(b"<") else "application/json"
        for _ in range(10):
            server.answer(body, status, Content_Type=kind)
        with pytest.raises(ApiError) as caught:
            discover(TowerClient(connect(server.endpoint)), ())
        return caught.value

    return run


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_service_info_is_attributed_to_a_gateway(fail: Fail, status: int) -> None:
    """The platform serves `/service-info` without a token."""
    error = fail(0, status, b"<html>Sign in</html>")
    assert (type(error), error.exit_code, error.status_code) == (EndpointError, 5, status)
    assert "A gateway or login page" in str(error)
    assert "ends in /api" in str(error)


@pytest.mark.parametrize("status", [400, 404, 405, 410, 501])
def test_a_server_without_service_info_is_an_endpoint_error(fail: Fail, status: int) -> None:
    """The base path of the endpoint may be wrong, for example."""
    error = fail(0, status, b"")
    assert (type(error), error.exit_code) == (EndpointError, 5)
    assert f"(status {status} for /service-info). Check the endpoint." in str(error)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("call", [1, 2])
def test_a_refusal_of_a_later_call_is_attributed_to_the_token(
    fail: Fail, call: int, status: int
) -> None:
    """See API fact 11. The token may also lack the permission to list workspaces."""
    error = fail(call, status, b"{}")
    assert (type(error), error.exit_code) == (AuthenticationError, 3)
    assert f"(status {status}" in str(error)
    assert PATHS[call] in str(error)
    assert "set TOWER_ACCESS_TOKEN" in str(error)


@pytest.mark.parametrize("status", [400, 404, 405, 501])
@pytest.mark.parametrize("call", [1, 2])
def test_a_server_without_a_later_call_is_an_endpoint_error(
    fail: Fail, call: int, status: int
) -> None:
    """Open-source Tower lacks these calls, and some gateways do not pass them."""
    error = fail(call, status, b"{}")
    assert (type(error), error.exit_code) == (EndpointError, 5)
    assert f"but not to {PATHS[call]} (status {status})" in str(error)
    assert "Open-source Tower lacks this call" in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>Welcome</html>", "A proxy or login page may stand in between"),
        (b"", "A proxy or login page may stand in between"),
        (b'{"half": ', "no JSON object (Expecting value: line 1 column"),
    ],
)
@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_response_with_status_200_but_no_json_is_explained(
    fail: Fail, call: int, body: bytes, said: str
) -> None:
    """Captive portals and single sign-on send such pages."""
    error = fail(call, 200, body)
    assert (type(error), error.exit_code) == (ServerError, 5)
    assert said in str(error)
    assert "must be the address of the API" in str(error)


@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_list_instead_of_an_object_is_a_malformed_response(fail: Fail, call: int) -> None:
    """A malformed version is tolerated; the call for the user then fails."""
    error = fail(call, 200, b"[]")
    assert (type(error), error.exit_code) == (MalformedResponseError, 5)
    assert f"GET {PATHS[max(call, 1)].format(id=1)}: " in str(error)
    assert "no JSON object but a list" in str(error)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (500, "tell the server's administrator"),
        (502, "A gateway answers for the platform"),
        (503, "A gateway answers for the platform"),
        (504, "A gateway answers for the platform"),
        (511, "This network requires a login first"),
    ],
)
@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_persistent_server_error_is_explained_by_its_status(
    fail: Fail, call: int, status: int, says: str
) -> None:
    error = fail(call, status, b"<html>Bad gateway</html>")
    assert (type(error), error.exit_code, error.status_code) == (ServerError, 5, status)
    assert f"the server answered {status}" in str(error)
    assert says in str(error)


@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_persistent_rate_limit_error_suggests_a_smaller_share(fail: Fail, call: int) -> None:
    """Other clients use the same token."""
    error = fail(call, 429, b"{}")
    assert (type(error), error.exit_code) == (RateLimitError, 5)
    assert "--budget-share" in str(error)


@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_redirect_to_another_host_is_an_endpoint_error(
    server: ScriptedServer, connect: Callable[..., JsonHttpClient], call: int
) -> None:
    """The redirect is not followed, as the other server would refuse the token."""
    for answer in GOOD[:call]:
        server.answer(answer)
    path = ("/service-info", "/user-info", "/user/1/workspaces")[call]
    server.redirect(f"https://new.example.org/api{path}")
    with pytest.raises(EndpointError, match=r"set the endpoint to https://new\.example\.org/api"):
        discover(TowerClient(connect(server.endpoint)), ())
    assert len(server.seen) == call + 1
