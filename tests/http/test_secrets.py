"""The token is sent to its origin only, and is not in cookies, messages, logs or tracebacks."""

from __future__ import annotations

import http.client
import io
import logging
import traceback
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.traceback import Traceback

from tower_etl.errors import ApiError, EndpointError
from tower_etl.http.session import BearerAuth, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import ScriptedServer
    from tower_etl.http import JsonHttpClient

    Connect = Callable[..., JsonHttpClient]

TOKEN = "eyJ0aWQiOiAxfS5zZWNyZXQ="


def redirect_endlessly(server: ScriptedServer) -> None:
    """Redirect more often than the client follows."""
    for _ in range(40):
        server.redirect("/api/workflow")


def test_a_redirect_to_another_origin_is_not_followed(
    server: ScriptedServer, make_server: Callable[[], ScriptedServer], connect: Connect
) -> None:
    """Another port is another origin, which receives no part of the call."""
    other = make_server()
    server.redirect(f"{other.endpoint}/workflow")

    with pytest.raises(EndpointError, match="redirects to"):
        connect(server.endpoint, TOKEN).get("/workflow")

    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert other.seen == []


def test_a_redirect_to_another_host_name_is_not_followed(
    server: ScriptedServer, connect: Connect
) -> None:
    """Another name of the same machine may belong to another site."""
    renamed = server.endpoint.replace("127.0.0.1", "localhost")
    server.redirect(f"{renamed}/workflow")

    with pytest.raises(EndpointError, match="redirects to http://localhost:"):
        connect(server.endpoint, TOKEN).get("/workflow")

    assert len(server.seen) == 1


def test_a_later_redirect_to_another_origin_is_not_followed(
    server: ScriptedServer, make_server: Callable[[], ScriptedServer], connect: Connect
) -> None:
    """The first redirect stays on the origin."""
    other = make_server()
    server.redirect("/api/v1/workflow")
    server.redirect(f"{other.endpoint}/workflow")

    with pytest.raises(EndpointError, match="redirects to"):
        connect(server.endpoint, TOKEN).get("/workflow")

    assert (len(server.seen), other.seen) == (2, [])


def test_a_redirect_on_the_same_origin_carries_the_token(
    server: ScriptedServer, connect: Connect
) -> None:
    """One redirect is absolute, the other relative."""
    server.redirect(f"{server.endpoint}/v1/workflow")
    server.redirect("/api/v2/workflow")

    connect(server.endpoint, TOKEN).get("/workflow")

    assert [seen.path for seen in server.seen] == [
        "/api/workflow",
        "/api/v1/workflow",
        "/api/v2/workflow",
    ]
    assert [f"Bearer {TOKEN}"] * 3 == [seen.headers["authorization"] for seen in server.seen]


def test_a_redirect_counts_as_a_call_but_not_as_a_retry(
    server: ScriptedServer, connect: Connect
) -> None:
    http_client = connect(server.endpoint, TOKEN)
    server.redirect("/api/v1/workflow")

    http_client.get("/workflow")

    assert (http_client.metrics.snapshot().calls, http_client.metrics.snapshot().retries) == (2, 0)


def test_a_redirect_loop_is_explained_and_not_retried(
    server: ScriptedServer, connect: Connect
) -> None:
    http_client = connect(server.endpoint, TOKEN)
    redirect_endlessly(server)

    with pytest.raises(EndpointError, match="redirects in a loop"):
        http_client.get("/workflow")

    assert len(server.seen) == http_client.metrics.snapshot().calls < 10


@pytest.mark.parametrize(
    "location", ["http://[bad", "http://127.0.0.1:99999/api", "ftp://127.0.0.1/api", "/caf\xe9"]
)
def test_an_invalid_redirect_location_raises_an_api_error(
    server: ScriptedServer, connect: Connect, location: str
) -> None:
    server.redirect(location)

    with pytest.raises(ApiError, match=r"^GET /workflow: "):
        connect(server.endpoint, TOKEN, attempts=1).get("/workflow")


def test_credentials_in_a_netrc_file_are_not_sent(
    server: ScriptedServer, connect: Connect, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without protection, requests would send them in place of the token, also after redirects."""
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:  # noqa: PTH123 - a path as the variable holds it
        file.write("default login me password mine\n")
    monkeypatch.setenv("NETRC", netrc)
    server.redirect("/api/v1/workflow")

    connect(server.endpoint, TOKEN).get("/workflow")

    assert [f"Bearer {TOKEN}"] * 2 == [seen.headers["authorization"] for seen in server.seen]


def test_cookies_are_not_kept(server: ScriptedServer, connect: Connect) -> None:
    """A session of a load balancer or a login page must not apply to later calls."""
    http_client = connect(server.endpoint, TOKEN)
    server.answer({}, Set_Cookie="JSESSIONID=abc; Path=/")

    http_client.get("/user-info")
    http_client.get("/user-info")

    assert len(http_client.session.cookies) == 0
    assert "cookie" not in server.seen[1].headers


TROUBLES: dict[str, Callable[[ScriptedServer], None]] = {
    "401": lambda server: server.answer({"message": "Unauthorized"}, 401),
    "403": lambda server: server.answer({}, 403),
    "500": lambda server: server.answer(b"<html>", 500),
    "HTML": lambda server: server.answer(b"<html>"),
    "reset": lambda server: server.reset(),
    "truncated": lambda server: server.truncate(b"{"),
    "silence": lambda server: server.stall(),
    "circles": redirect_endlessly,
    "elsewhere": lambda server: server.redirect("https://tower.example.org/api/workflow"),
    "proxy": lambda server: server.answer(b"", 407),
    "refused": lambda server: server.close(),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_error_shows_the_token(server: ScriptedServer, connect: Connect, trouble: str) -> None:
    """The token is not in the text, the repr, the attributes or the traceback with its causes."""
    http_client = connect(server.endpoint, TOKEN, attempts=1, read_seconds=0.1)
    TROUBLES[trouble](server)

    with pytest.raises(ApiError) as caught:
        http_client.get("/workflow")

    chain = "".join(traceback.format_exception(caught.value))
    shown = [str(caught.value), repr(caught.value), repr(caught.value.__dict__), chain]
    assert [text for text in shown if TOKEN in text or "Bearer" in text] == []


def render_all(error: BaseException) -> str:
    """Return all that a debugger could show: every frame of every cause, with its variables."""
    shown: list[str] = []
    seen, waiting = set[int](), [error]
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        shown += traceback.TracebackException.from_exception(cause, capture_locals=True).format()
        waiting += [other for other in (cause.__cause__, cause.__context__) if other]
    return "".join(shown)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_variable_in_a_traceback_shows_the_token(
    server: ScriptedServer, connect: Connect, trouble: str
) -> None:
    """Both Python and rich print the variables of all frames, including those of causes."""
    http_client = connect(server.endpoint, TOKEN, attempts=1, read_seconds=0.1)
    TROUBLES[trouble](server)

    with pytest.raises(ApiError) as caught:
        http_client.get("/workflow")

    assert caught.value.__context__ is None
    page = io.StringIO()
    pretty = Console(file=page, width=10_000)
    kind, error, frames = type(caught.value), caught.value, caught.value.__traceback__
    pretty.print(
        Traceback.from_exception(
            *(kind, error, frames),
            show_locals=True,
            locals_max_string=100_000,
            locals_max_length=1000,
        )
    )
    shown = render_all(caught.value) + page.getvalue()
    assert (TOKEN in shown.replace("TOKEN", ""), "_get_once" in shown) == (False, True)


def test_an_interrupted_call_does_not_show_the_token(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a notebook raises in the frames of HTTP libraries, which hold the headers."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(http.client.HTTPConnection, "getresponse", interrupt)

    with pytest.raises(KeyboardInterrupt) as caught:
        connect(server.endpoint, TOKEN).get("/workflow")

    shown = render_all(caught.value)
    assert ("Authorization" in shown, TOKEN in shown) == (True, False)


def test_no_log_shows_the_token(
    server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The logs of all levels and libraries are checked, for successful and failed calls."""
    caplog.set_level(logging.NOTSET)
    server.answer({}, 503)
    server.redirect("/api/v1/workflow")
    server.answer({})
    http_client = connect(server.endpoint, TOKEN, attempts=2)

    http_client.get("/workflow")
    server.answer({"message": TOKEN}, 401)
    with pytest.raises(ApiError):
        http_client.get("/workflow")

    assert "/api/workflow" in caplog.text  # something was logged
    logged = caplog.text + repr([record.__dict__ for record in caplog.records])
    assert (TOKEN in logged, "Bearer" in logged) == (False, False)


def test_a_token_that_a_server_message_quotes_is_not_shown(
    server: ScriptedServer, connect: Connect
) -> None:
    """Some gateways quote the refused header."""
    server.answer({"message": f"Invalid token {TOKEN}"}, 401)

    with pytest.raises(ApiError) as caught:
        connect(server.endpoint, TOKEN).get("/user-info")

    assert TOKEN not in str(caught.value)


def test_data_that_equals_the_token_is_not_masked(server: ScriptedServer, connect: Connect) -> None:
    """A short token may be a word of the data."""
    server.answer({"tasks": [{"name": "tasks"}]})

    assert connect(server.endpoint, "tasks").get("/x") == {"tasks": [{"name": "tasks"}]}


def test_the_repr_of_client_session_and_auth_does_not_show_the_token(
    server: ScriptedServer, connect: Connect
) -> None:
    http_client = connect(server.endpoint, TOKEN)

    shown = [repr(http_client), repr(http_client.session), repr(http_client.session.auth)]

    assert [text for text in shown if TOKEN in text] == []
    assert repr(BearerAuth(TOKEN, origin_of(server.endpoint))) == "BearerAuth(***)"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://host/api", ("https", "host", 443)),
        ("http://HOST/api", ("http", "host", 80)),
        ("https://host:8443", ("https", "host", 8443)),
        ("https://[::1]:8443/api", ("https", "::1", 8443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: tuple[str, str, int]) -> None:
    """Default ports are filled in, so that both spellings are the same origin."""
    assert origin_of(url) == origin
