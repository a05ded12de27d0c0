"""Serve a simulator over HTTP, on loopback only."""

from __future__ import annotations

import ipaddress
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tower_etl.simulator.app import Simulator

_TIMEOUT_S = 30.0  # for the start, and for the stop


class _Protocol(H11Protocol):
    """HTTP protocol of uvicorn that passes the transport to the application, for resets."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's signature
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            scope.setdefault("extensions", {})["sim.transport"] = {"transport": transport}
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """Server of a simulator that signals when it is up."""

    def __init__(self, simulator: Simulator) -> None:
        config = uvicorn.Config(
            simulator,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _bind(host: str, port: int) -> socket.socket:
    if not ipaddress.ip_address(host).is_loopback:
        msg = f"Invalid host {host}: the simulator serves on loopback only."
        raise ValueError(msg)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm (40 ms per page) only if the protocol is given.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def serve(simulator: Simulator, port: int = 0, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve in a background thread while the block runs; yield the endpoint of the API.

    Args:
        simulator: Application to serve.
        port: Port, 0 for any free port.
        host: A loopback address.

    Raises:
        OSError: The port is in use.
        ValueError: The host is not a loopback address.
        RuntimeError: The server does not start.
    """
    listener = _bind(host, port)
    address = f"[{host}]" if ":" in host else host
    endpoint = f"http://{address}:{listener.getsockname()[1]}/api"
    server = _Server(simulator)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        if not server.up.wait(_TIMEOUT_S):
            msg = "The simulator did not start."
            raise RuntimeError(msg)
        yield endpoint
    finally:
        server.should_exit = True
        thread.join(_TIMEOUT_S)
        listener.close()


def run_forever(simulator: Simulator, port: int, on_ready: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM; call it in the main thread.

    Args:
        simulator: Application to serve.
        port: Port, 0 for any free port.
        on_ready: Called with the endpoint once the server is up.

    Raises:
        OSError: The port is in use.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        with serve(simulator, port) as endpoint:
            on_ready(endpoint)
            stop.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
