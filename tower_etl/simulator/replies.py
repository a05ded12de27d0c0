"""Answers on their way out: taken from the routes whole, then sent, or spoilt by a fault."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tower_etl.simulator.faults import Fault

_JSON = b"application/json"
_HTML_BODY = b"<html><head><title>Bad Gateway</title></head><body><h1>Gateway</h1></body></html>"


@dataclass(frozen=True)
class Reply:
    """An answer in full.

    Attributes:
        status: HTTP status.
        body: The body.
        content_type: Its media type.
        retry_after: `Retry-After`, None to leave it out.
    """

    status: int
    body: bytes
    content_type: bytes = _JSON
    retry_after: str | None = None

    def list_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers, Content-Length included."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(self.body)).encode()),
        ]
        if self.retry_after is not None:
            headers.append((b"retry-after", self.retry_after.encode()))
        return headers

    async def send(self, send: Send, *, cut: int | None = None) -> None:
        """Send the answer; with `cut`, stop after that many bytes of the body."""
        await send(
            {"type": "http.response.start", "status": self.status, "headers": self.list_headers()}
        )
        body = self.body if cut is None else self.body[:cut]
        await send({"type": "http.response.body", "body": body, "more_body": cut is not None})


def refusal(status: int, message: str, retry_after: str | None = None) -> Reply:
    """An error as the platform words it."""
    return Reply(status, orjson.dumps({"message": message}), retry_after=retry_after)


async def capture(app: ASGIApp, scope: Scope, receive: Receive) -> Reply:
    """Let the application answer, and hold its answer back.

    A fault of the simulator itself becomes the 500 that the application makes of it.
    """
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    try:
        await app(scope, receive, keep)
    except Exception:
        if not messages:
            raise
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return Reply(messages[0]["status"], body)


async def play(fault: Fault, reply: Reply, scope: Scope, send: Send) -> int:
    """Send what the fault makes of the answer; answers the status sent, 0 for a reset."""
    if fault.delay:
        await asyncio.sleep(fault.delay)
    match fault.kind:
        case "reset":
            await _reset(scope)
            return 0
        case "truncated":
            await reply.send(send, cut=len(reply.body) // 2)
            return reply.status
    spoilt = _spoil(fault, reply)
    await spoilt.send(send)
    return spoilt.status


def _spoil(fault: Fault, reply: Reply) -> Reply:
    match fault.kind:
        case "status":
            status = fault.status or 500
            return refusal(status, f"Simulated fault {status}", fault.retry_after)
        case "html":
            return Reply(fault.status or 200, _HTML_BODY, b"text/html", fault.retry_after)
        case "garbled":
            return replace(reply, body=_garble(reply.body))
        case "half_json":
            return replace(reply, status=200, body=reply.body[: len(reply.body) // 2])
        case _:
            return reply


def _garble(body: bytes) -> bytes:
    """The same object with a first field that strict decoding refuses, and the real one hides."""
    name = re.match(rb'\{("[^"]*"):', body)
    return b'{%s:["\xff\x01\\ud800",NaN],%s' % (name[1], body[1:]) if name else body


async def _reset(scope: Scope) -> None:
    http_client: Any = scope["extensions"]["sim.transport"]["transport"]
    connection: socket.socket = http_client.get_extra_info("socket")
    # With a linger of zero seconds the kernel closes by RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    http_client.abort()
    # The server learns of it one turn of the loop later; then it asks for no answer.
    await asyncio.sleep(0.01)
