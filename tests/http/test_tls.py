"""TLS with private certificate authorities, and requests through a proxy, over real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING, cast

import pytest
import trustme

from tests.http.conftest import ScriptedServer
from tower_etl.config.settings import HttpSettings, Settings, Token
from tower_etl.errors import ApiConnectionError, EndpointError
from tower_etl.http import open_http_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tower_etl.http import JsonHttpClient
    from tower_etl.http.session import RateLimitedAdapter

TOKEN = "eyJ0aWQiOiA5fS5zZWNyZXQ="


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Create a certificate authority that no system trusts."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """Write the certificate of the authority to a file, as administrators distribute it."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[ScriptedServer]:
    """Start a server with a certificate of that authority."""
    started = ScriptedServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    started.wrap(context)
    yield started
    started.close()


def connect(server: ScriptedServer, bundle: Path | None, host: str = "127.0.0.1") -> JsonHttpClient:
    """Return a client for a server, opened as the commands open it."""
    endpoint = server.endpoint.replace("http://127.0.0.1", f"https://{host}")
    http_settings = HttpSettings(None, attempts=1, call_seconds=20)
    settings = Settings(endpoint, Token(TOKEN), ca_bundle=bundle, http=http_settings)
    return open_http_client(settings, "tower-etl-tests/1")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


def test_a_server_with_an_untrusted_certificate_receives_no_request(server: ScriptedServer) -> None:
    with pytest.raises(
        ApiConnectionError, match="the TLS certificate or handshake was not accepted"
    ):
        connect(server, None).get("/workflow")

    assert server.seen == []


def test_a_configured_ca_bundle_is_trusted(server: ScriptedServer, bundle: Path) -> None:
    assert connect(server, bundle).get("/workflow") == {"ok": True}
    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_configured_ca_bundle_overrides_requests_ca_bundle(
    server: ScriptedServer, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default, requests would use the bundle in the environment variable."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))

    assert connect(server, bundle).get("/workflow") == {"ok": True}


def test_a_certificate_for_another_host_name_is_refused(
    server: ScriptedServer, bundle: Path
) -> None:
    """The authority is trusted, but the name does not match."""
    with pytest.raises(ApiConnectionError, match="was not accepted"):
        connect(server, bundle, host="localhost").get("/workflow")

    assert server.seen == []


def test_a_tls_response_that_trickles_is_cut_off_at_the_deadline(
    server: ScriptedServer, bundle: Path
) -> None:
    """The deadline closes the socket below the TLS layer."""

    def send_slowly(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not server.is_over(0.02):
            handler.wfile.write(b" ")

    server.act(send_slowly)
    http_client = connect(server, bundle)
    adapter = cast("RateLimitedAdapter", http_client.session.get_adapter("https://"))
    adapter.call_seconds = 0.3

    with pytest.raises(ApiConnectionError, match="not complete before the deadline"):
        http_client.get("/workflow")


class Proxy:
    """Proxy that accepts one CONNECT, records it, and refuses or tunnels it.

    Attributes:
        asked: Bytes that it received before the tunnel.
    """

    def __init__(self, *, refuses: bool) -> None:
        self.asked = b""
        self._refuses = refuses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """URL of the proxy, with a user name and a password."""
        return f"http://ada:pr0xy-pass@127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop the proxy."""
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            while b"\r\n\r\n" not in self.asked:
                self.asked += client.recv(65536)
            if self._refuses:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            host, _, port = self.asked.split()[1].decode().partition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, client))
                back.start()
                _pump(client, server)
                back.join(10)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("refuses", [False, True])
def test_a_proxy_from_the_environment_does_not_see_the_token(
    server: ScriptedServer, bundle: Path, monkeypatch: pytest.MonkeyPatch, *, refuses: bool
) -> None:
    """It tunnels the encrypted request or refuses it. The error does not show its password."""
    proxy = Proxy(refuses=refuses)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    http_client = connect(server, bundle)

    if refuses:
        with pytest.raises(EndpointError, match="refuses the credentials in") as caught:
            http_client.get("/workflow")
        assert "pr0xy-pass" not in str(caught.value)
    else:
        assert http_client.get("/workflow") == {"ok": True}
    http_client.close()
    proxy.close()

    assert proxy.asked.startswith(b"CONNECT 127.0.0.1:")
    assert TOKEN.encode() not in proxy.asked
    assert len(server.seen) == (0 if refuses else 1)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_hosts_in_no_proxy_are_requested_directly(
    server: ScriptedServer, bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(name, "127.0.0.1")

    assert connect(server, bundle).get("/workflow") == {"ok": True}
