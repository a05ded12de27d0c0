"""Errors for redirects and proxies: each names the cause and the setting to change."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tower_etl.errors import ApiConnectionError, ApiError, EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.http.conftest import ScriptedServer
    from tower_etl.http import JsonHttpClient

    Connect = Callable[..., JsonHttpClient]

PASSWORD = "pr0xy-pass"

# --- redirects ----------------------------------------------------------------------------------


def fail(http_client: JsonHttpClient, path: str = "/workflow") -> ApiError:
    """Make a call, and return the error that it raises."""
    with pytest.raises(ApiError) as caught:
        http_client.get(path)
    return caught.value


def test_a_redirect_error_names_both_origins_and_the_new_endpoint(
    server: ScriptedServer, connect: Connect
) -> None:
    """The call is not retried, because the next response would be the same."""
    server.redirect("https://tower.example.org:8443/new/api/workflow?workspaceId=7")
    http_client = connect(server.endpoint)

    error = fail(http_client)

    origin = server.endpoint.removesuffix("/api")
    assert isinstance(error, EndpointError)
    assert f"GET /workflow: {origin} redirects to https://tower.example.org:8443." in str(error)
    assert "set the endpoint to https://tower.example.org:8443/new/api." in str(error)
    assert (error.exit_code, http_client.metrics.snapshot().calls) == (5, 1)


def test_a_redirect_error_suggests_the_https_endpoint(
    server: ScriptedServer, connect: Connect
) -> None:
    """Most servers redirect plain HTTP to the same host."""
    server.redirect(f"{server.endpoint.replace('http', 'https', 1)}/workflow")
    wanted = server.endpoint.replace("http", "https", 1)

    assert f"set the endpoint to {wanted}." in str(fail(connect(server.endpoint)))


@pytest.mark.parametrize(
    "location",
    [
        "https://sso.example.org/login?return=/api/workflow&ticket=s3cret",
        "https://me:s3cret@sso.example.org/login",
        "//sso.example.org/",
        "https://sso.example.org",
        "https://sso.example.org/s3cret%20x/workflow",
        "https://sso.example.org/workflow/s3cret",
        "ftp://sso.example.org/api/workflow",
    ],
)
def test_a_redirect_outside_an_api_path_suggests_no_endpoint(
    server: ScriptedServer, connect: Connect, location: str
) -> None:
    """The target may be a login page. Only the origin of its address is shown."""
    server.redirect(location)

    message = str(fail(connect(server.endpoint)))

    assert "://sso.example.org. The token is only sent" in message
    assert "if it is a login page" in message
    assert "s3cret" not in message


def test_a_redirect_error_is_printable_and_short(server: ScriptedServer, connect: Connect) -> None:
    """The server controls the text of the location."""
    server.redirect("https://a\x1b7" + "b" * 2000 + "/x")

    message = str(fail(connect(server.endpoint)))

    assert message.isprintable()
    assert len(message) < 700


# --- proxies ------------------------------------------------------------------------------------


class Proxy:
    """Proxy that responds to every request, including CONNECT, with the same status.

    Attributes:
        asked: Bytes that it received.
        name: Host and port of the proxy.
    """

    def __init__(self, status: bytes) -> None:
        self.asked = b""
        self._status = status
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the proxy."""
        if self._thread.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                while b"\r\n\r\n" not in (piece := client.recv(65536)) and piece:
                    self.asked += piece
                self.asked += piece
                head = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                client.sendall(head % self._status)


@pytest.fixture
def make_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Proxy]]:
    """Return a function that starts a proxy and sets it in the environment.

    Usage: `make_proxy(status, login="me:pass@")`.
    """
    started: list[Proxy] = []

    def start(status: bytes, login: str = "") -> Proxy:
        started.append(Proxy(status))
        for scheme in ("http", "https"):
            for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
                monkeypatch.setenv(name, f"http://{login}{started[-1].name}")
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()


@pytest.fixture
def ask(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ApiError]:
    """Return a function that calls a host behind the proxy and returns the error."""

    def call(scheme: str) -> ApiError:
        monkeypatch.setenv("NO_PROXY", "elsewhere.example.org")  # `connect` exempts every host
        monkeypatch.setenv("no_proxy", "elsewhere.example.org")
        endpoint = f"{scheme}://tower.example.org/api"
        return fail(connect(endpoint, insecure_http=True, attempts=2))

    return call


@pytest.mark.parametrize(("scheme", "verb"), [("http", b"GET"), ("https", b"CONNECT")])
def test_a_proxy_that_requires_credentials_is_named_with_its_variable(
    make_proxy: Callable[..., Proxy], ask: Callable[[str], ApiError], scheme: str, verb: bytes
) -> None:
    """The call is not retried."""
    proxy = make_proxy(b"407 Proxy Authentication Required")

    error = ask(scheme)

    assert (type(error), error.status_code, error.exit_code) == (EndpointError, 407, 5)
    assert f"the proxy {proxy.name} requires credentials" in str(error)
    assert f"{scheme.upper()}_PROXY, for example http://$USER:$PASSWORD@{proxy.name}" in str(error)
    assert proxy.asked.startswith(verb)
    assert proxy.asked.count(b" HTTP/1.1\r\n") + proxy.asked.count(b" HTTP/1.0\r\n") == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_refused_proxy_credentials_are_not_shown(
    make_proxy: Callable[..., Proxy], ask: Callable[[str], ApiError], scheme: str
) -> None:
    """The message names the variable that contains them."""
    make_proxy(b"407 No", login=f"ada:{PASSWORD}@")

    message = str(ask(scheme))

    assert f"refuses the credentials in {scheme.upper()}_PROXY" in message
    assert (PASSWORD in message, "ada" in message) == (False, False)


@pytest.mark.parametrize(
    ("status", "kind"), [(b"403 Forbidden", EndpointError), (b"502 Bad", ApiConnectionError)]
)
def test_a_proxy_that_does_not_forward_a_request_is_named(
    make_proxy: Callable[..., Proxy],
    ask: Callable[[str], ApiError],
    status: bytes,
    kind: type[ApiError],
) -> None:
    """A 403 is a final error; a 502 may be transient."""
    proxy = make_proxy(status)

    error = ask("https")

    assert (type(error), error.exit_code) == (kind, 5)
    assert f"the proxy {proxy.name} did not allow the request to tower.example.org" in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_unreachable_proxy_is_named_instead_of_the_server(
    make_proxy: Callable[..., Proxy], ask: Callable[[str], ApiError], scheme: str
) -> None:
    proxy = make_proxy(b"", login=f"ada:{PASSWORD}@")
    proxy.close()

    error = ask(scheme)

    assert type(error) is ApiConnectionError
    assert f"no answer from the proxy {proxy.name}" in str(error)
    assert PASSWORD not in str(error)


def test_a_407_without_a_configured_proxy_is_explained(
    server: ScriptedServer, connect: Connect
) -> None:
    """A transparent proxy can send it."""
    server.answer(b"<html>", 407)

    message = str(fail(connect(server.endpoint)))

    assert "requires credentials, and none is configured (status 407)" in message
    assert "Set HTTP_PROXY" in message


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://", "no answer from the proxy|the URL of the proxy is not valid"),
        ("http://[", "not valid"),
        ("socks5://127.0.0.1:9", "a SOCKS proxy|no answer"),
    ],
)
def test_an_unusable_proxy_url_is_explained(
    ask: Callable[[str], ApiError], monkeypatch: pytest.MonkeyPatch, address: str, says: str
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, address)

    error = ask("https")

    assert any(part in str(error) for part in says.split("|")), error
    assert "InvalidSchema" not in str(error)
