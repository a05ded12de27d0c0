"""Servers with a certificate of their own, and the way through a proxy, over real sockets."""

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
    """An authority that nobody knows."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate, as administrators hand it out."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[ScriptedServer]:
    """A server with a certificate by that authority."""
    started = ScriptedServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    started.wrap(context)
    yield started
    started.close()


def connect(server: ScriptedServer, bundle: Path | None, host: str = "127.0.0.1") -> JsonHttpClient:
    """A transport to a server, as the commands open it."""
    endpoint = server.endpoint.replace("http://127.0.0.1", f"https://{host}")
    http_settings = HttpSettings(None, attempts=1, call_seconds=20)
    settings = Settings(endpoint, Token(TOKEN), ca_bundle=bundle, http=http_settings)
    return open_http_client(settings, "tower-etl-tests/1")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


def test_an_unknown_authority_gets_no_token(server: ScriptedServer) -> None:
    """Nothing at all, but a sentence for the user."""
    with pytest.raises(
        ApiConnectionError, match="the TLS certificate or handshake was not accepted"
    ):
        connect(server, None).get("/workflow")

    assert server.seen == []


def test_an_authority_that_was_named_is_trusted(server: ScriptedServer, bundle: Path) -> None:
    """Before what the environment names: a flag goes first."""
    assert connect(server, bundle).get("/workflow") == {"ok": True}
    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_the_flag_goes_before_the_variable(
    server: ScriptedServer, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library below would take the variable."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))

    assert connect(server, bundle).get("/workflow") == {"ok": True}


def test_a_certificate_of_another_name_is_refused(server: ScriptedServer, bundle: Path) -> None:
    """Also by an authority that is trusted."""
    with pytest.raises(ApiConnectionError, match="was not accepted"):
        connect(server, bundle, host="localhost").get("/workflow")

    assert server.seen == []


def test_an_encrypted_answer_that_drips_is_cut(server: ScriptedServer, bundle: Path) -> None:
    """The connection below the encryption is."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not server.is_over(0.02):
            handler.wfile.write(b" ")

    server.act(drip)
    http_client = connect(server, bundle)
    adapter = cast("RateLimitedAdapter", http_client.session.get_adapter("https://"))
    adapter.call_seconds = 0.3

    with pytest.raises(ApiConnectionError, match="not complete before the deadline"):
        http_client.get("/workflow")


class Proxy:
    """Takes one CONNECT, keeps what it was sent, and refuses or tunnels it.

    Attributes:
        asked: What came before the tunnel.
    """

    def __init__(self, *, refuses: bool) -> None:
        self.asked = b""
        self._refuses = refuses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address, with a password of its own."""
        return f"http://ada:pr0xy-pass@127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop."""
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
def test_a_proxy_of_the_environment_is_used_and_sees_no_token(
    server: ScriptedServer, bundle: Path, monkeypatch: pytest.MonkeyPatch, *, refuses: bool
) -> None:
    """It tunnels what it cannot read; and its password is in no message."""
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
def test_hosts_that_need_no_proxy_are_asked_directly(
    server: ScriptedServer, bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the variable that other programs know."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(name, "127.0.0.1")

    assert connect(server, bundle).get("/workflow") == {"ok": True}
