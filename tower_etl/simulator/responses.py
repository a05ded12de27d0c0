"""HTTP responses: buffered by the application, then sent unchanged or corrupted by a fault."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tower_etl.simulator.faults import Fault

_HTML_BODY = b"<html><head><title>Bad Gateway</title></head><body><h1>Gateway</h1></body></html>"


def json_response(content: Any, status: int = 200) -> Response:  # noqa: ANN401 - any JSON value
    """Return a JSON response."""
    return Response(orjson.dumps(content), status, media_type="application/json")


@dataclass(frozen=True)
class BufferedResponse:
    """A complete response; without `retry_after` it has no such header."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    retry_after: str | None = None

    async def send(self, send: Send, *, cut: int | None = None) -> None:
        """Send the response; with `cut`, stop after that many bytes of the body."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(self.body)).encode()),
        ]
        if self.retry_after is not None:
            headers.append((b"retry-after", self.retry_after.encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        body = self.body if cut is None else self.body[:cut]
        await send({"type": "http.response.body", "body": body, "more_body": cut is not None})


def error_response(status: int, message: str, retry_after: str | None = None) -> BufferedResponse:
    """Return an error in the platform's format."""
    return BufferedResponse(status, orjson.dumps({"message": message}), retry_after=retry_after)


async def capture(app: ASGIApp, scope: Scope, receive: Receive) -> BufferedResponse:
    """Call the application and return its response without sending it.

    An error of the simulator itself is returned as the response 500 of the application.
    """
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    try:
        await app(scope, receive, keep)
    except Exception:
        # Starlette re-raises errors after it has responded, for the server's log.
        if not messages:
            raise
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return BufferedResponse(messages[0]["status"], body)


async def send_with_fault(
    fault: Fault, response: BufferedResponse, scope: Scope, send: Send
) -> int:
    """Send the response with a fault; return the status that was sent, 0 for a reset."""
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.kind == "reset":
        await _reset_connection(scope)
        return 0
    if fault.kind == "truncated":
        await response.send(send, cut=len(response.body) // 2)
        return response.status
    corrupted = _corrupt(fault, response)
    await corrupted.send(send)
    return corrupted.status


def _corrupt(fault: Fault, response: BufferedResponse) -> BufferedResponse:
    match fault.kind:
        case "status":
            status = fault.status or 500
            return error_response(status, f"Simulated fault {status}", fault.retry_after)
        case "html":
            status = fault.status or 200
            return BufferedResponse(status, _HTML_BODY, b"text/html", fault.retry_after)
        case "garbled":
            return replace(response, body=_garble(response.body))
        case "half_json":
            return replace(response, status=200, body=response.body[: len(response.body) // 2])
        case _:
            return response


def _garble(body: bytes) -> bytes:
    """Insert a first field that strict decoders reject and that the real field overrides."""
    name = re.match(rb'\{("[^"]*"):', body)
    return b'{%s:["\xff\x01\\ud800",NaN],%s' % (name[1], body[1:]) if name else body


async def _reset_connection(scope: Scope) -> None:
    transport: Any = scope["extensions"]["sim.transport"]["transport"]
    connection: socket.socket = transport.get_extra_info("socket")
    # With a linger of zero seconds the kernel closes by RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    # uvicorn learns of the abort in the next turn of the loop, and then expects no response.
    await asyncio.sleep(0.01)
