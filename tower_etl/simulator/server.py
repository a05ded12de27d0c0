"""Serving a simulator over real HTTP, on loopback alone."""

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

    from tower_etl.simulator.simulator import Simulator

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0


class _Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, with the connection in reach of the faults."""

    def connection_made(self, http_client: Any) -> None:  # noqa: ANN401 - as uvicorn has it
        super().connection_made(http_client)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            scope.setdefault("extensions", {})["sim.transport"] = {"transport": http_client}
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """Says when it is up, and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _bind(host: str, port: int) -> socket.socket:
    if not ipaddress.ip_address(host).is_loopback:
        msg = f"The simulator serves on loopback alone, not on {host}."
        raise ValueError(msg)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's delay (40 ms a page) only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _make_server(simulator: Simulator) -> _Server:
    return _Server(
        uvicorn.Config(
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
    )


@contextmanager
def serve(simulator: Simulator, port: int = 0, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve in a background thread while the block runs.

    Args:
        simulator: What answers.
        port: Port to listen on, 0 for any free one.
        host: A loopback address.

    Yields:
        The endpoint, `http://127.0.0.1:PORT/api`.

    Raises:
        OSError: The port is taken.
        ValueError: The host is no loopback address.
        RuntimeError: The server does not come up.
    """
    listener = _bind(host, port)
    address = f"[{host}]" if ":" in host else host
    endpoint = f"http://{address}:{listener.getsockname()[1]}/api"
    server = _make_server(simulator)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        if not server.up.wait(_START_TIMEOUT_S):
            msg = "The simulator did not come up."
            raise RuntimeError(msg)
        yield endpoint
    finally:
        server.should_exit = True
        thread.join(_STOP_TIMEOUT_S)
        listener.close()


def run_forever(simulator: Simulator, port: int, on_ready: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM; for the main thread of a process.

    Args:
        simulator: What answers.
        port: Port to listen on, 0 for any free one.
        on_ready: Called with the endpoint once it answers.

    Raises:
        OSError: The port is taken.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        signal.signal(number, lambda *_: stop.set())
    try:
        with serve(simulator, port) as endpoint:
            on_ready(endpoint)
            stop.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
