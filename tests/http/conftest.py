"""HTTP server on loopback that plays one scripted response per call."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

_LONGEST_WAIT_S = 20


@dataclass(frozen=True)
class Seen:
    """Request as the server received it, with header names in lower case."""

    path: str
    headers: Mapping[str, str]


class QuietServer(ThreadingHTTPServer):
    """HTTP server that reports no error for clients that disconnect."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore the error: a client that timed out does not wait for its response."""


class ScriptedServer:
    """Server that plays one scripted step per call, and responds `{"ok": true}` after the last.

    Attributes:
        seen: Requests, in order of arrival.
        left: Set when a client disconnected during a response.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.left = threading.Event()
        self._script: deque[Callable[[BaseHTTPRequestHandler], None]] = deque()
        self._over = threading.Event()
        self._server = QuietServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """URL of the server, including the base path of the API."""
        return f"http://127.0.0.1:{self._server.server_port}/api"

    def wrap(self, context: ssl.SSLContext) -> None:
        """Use TLS for all later connections."""
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def close(self) -> None:
        """Stop the server, and release the calls that are kept waiting."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def act(self, act: Callable[[BaseHTTPRequestHandler], None]) -> None:
        """Add a step that calls the given function with the request handler."""
        self._script.append(act)

    def is_over(self, seconds: float = 0.0) -> bool:
        """Return whether the server is closed, after waiting at most the given seconds for it."""
        return self._over.wait(seconds)

    def answer(self, body: object, status: int = 200, **headers: str) -> None:
        """Add a response with a status and a body: bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._script.append(lambda handler: _send(handler, status, raw, named))

    def redirect(self, location: str, **headers: str) -> None:
        """Add a redirect."""
        self.answer(b"", 302, Location=location, **headers)

    def reset(self) -> None:
        """Add a connection reset without a response."""
        self._script.append(_reset)

    def truncate(self, body: bytes) -> None:
        """Add a response that ends before its announced length."""
        self._script.append(
            lambda handler: _send(handler, 200, body, {"Content-Length": str(len(body) + 50)})
        )

    def stall(self) -> None:
        """Add a step that sends no response until the server is closed."""

        def wait(handler: BaseHTTPRequestHandler) -> None:
            self._over.wait(_LONGEST_WAIT_S)

        self._script.append(wait)

    def _make_handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                named = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append(Seen(self.path, named))
                act = server._script.popleft() if server._script else _agree
                act(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's signature
                pass

        return Handler


def _send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]
) -> None:
    handler.send_response(status)
    defaults = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    for name, value in (defaults | dict(headers)).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def _agree(handler: BaseHTTPRequestHandler) -> None:
    _send(handler, 200, b'{"ok": true}', {})


def _reset(handler: BaseHTTPRequestHandler) -> None:
    # With a linger time of 0, `close` resets the connection instead of ending it regularly.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


@pytest.fixture
def make_server() -> Iterator[Callable[[], ScriptedServer]]:
    """Return a function that starts servers; they are stopped after the test."""
    started: list[ScriptedServer] = []

    def start() -> ScriptedServer:
        started.append(ScriptedServer())
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def server(make_server: Callable[[], ScriptedServer]) -> ScriptedServer:
    """Start a scripted server."""
    return make_server()
