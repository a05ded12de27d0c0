"""Servers that mean harm, or have lost their mind: every call ends, soon, and in little memory."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, cast

import pytest
import requests

from tower_etl.errors import (
    ApiConnectionError,
    ApiError,
    ResponseTooLargeError,
    ServerError,
)
from tower_etl.http.deadline import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

    from tests.http.conftest import ScriptedServer
    from tower_etl.http import JsonHttpClient
    from tower_etl.http.session import RateLimitedAdapter

    Connect = Callable[..., JsonHttpClient]

MEGABYTE = 2**20
SOON_SECONDS = 5.0  # on a busy machine; each of these would last for minutes, or for ever


def narrow(http_client: JsonHttpClient, max_bytes: int) -> JsonHttpClient:
    """Let bodies have fewer bytes."""
    adapter = cast("RateLimitedAdapter", http_client.session.get_adapter(http_client.endpoint))
    adapter.max_body_bytes = max_bytes
    return http_client


def zip_zeros(megabytes: int) -> bytes:
    """So many megabytes of spaces, a thousandth of that when compressed."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b" " * MEGABYTE) for _ in range(megabytes)]
    return b"".join(pieces) + packer.flush()


def pour(server: ScriptedServer, head: bytes, piece: bytes, pause: float = 0.0) -> None:
    """Next: that head, and then that piece for as long as somebody listens."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        connection = handler.connection
        try:
            connection.sendall(head)
            while not server.is_over(pause):
                connection.sendall(piece)
        except OSError:
            server.left.set()
        handler.close_connection = True

    server.act(act)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TO_THE_END = HEAD + b"Connection: close\r\n\r\n"
LONG = HEAD + b"Content-Length: 100000000000\r\n\r\n"
ENDLESS = {
    "a long body": (LONG, b" " * MEGABYTE),
    "a body up to the end of the connection": (TO_THE_END, b" " * MEGABYTE),
    "chunks": (CHUNKED, b"100000\r\n" + b" " * MEGABYTE + b"\r\n"),
    "a redirect with a body": (
        b"HTTP/1.1 302 Found\r\nLocation: /api/x\r\nContent-Length: 100000000000\r\n\r\n",
        b" " * MEGABYTE,
    ),
    "a refusal with a body": (
        b"HTTP/1.1 500 Oh\r\nContent-Length: 100000000000\r\n\r\n",
        b" " * MEGABYTE,
    ),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_body_without_end_is_left(server: ScriptedServer, connect: Connect, kind: str) -> None:
    """After as many bytes as an answer may have, once, and with the connection closed."""
    pour(server, *ENDLESS[kind])
    http_client = narrow(connect(server.endpoint), 4 * MEGABYTE)

    with pytest.raises(ResponseTooLargeError, match=r"^GET /workflow: the response is larger"):
        http_client.get("/workflow")

    assert http_client.metrics.snapshot().calls == 1
    assert server.left.wait(SOON_SECONDS)


def test_a_bomb_does_not_unfold(server: ScriptedServer, connect: Connect) -> None:
    """A hundred megabytes in a hundred kilobytes take no more memory than is allowed."""
    server.answer(zip_zeros(100), Content_Encoding="gzip")
    http_client = narrow(connect(server.endpoint), 4 * MEGABYTE)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError):
            http_client.get("/workflow")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16 * MEGABYTE


def test_a_bomb_in_a_bomb_does_not_unfold(server: ScriptedServer, connect: Connect) -> None:
    """Compressed over and over."""
    server.answer(gzip.compress(zip_zeros(64)), Content_Encoding="gzip, gzip")

    with pytest.raises(ResponseTooLargeError):
        narrow(connect(server.endpoint), 4 * MEGABYTE).get("/workflow")


def test_more_layers_than_anybody_needs_are_refused(
    server: ScriptedServer, connect: Connect
) -> None:
    """Each of them would cost time."""
    server.answer(b"x", Content_Encoding=", ".join(["gzip"] * 40))

    with pytest.raises(ApiConnectionError, match="could not be decompressed"):
        connect(server.endpoint, attempts=1).get("/workflow")


def test_the_largest_answer_is_read(server: ScriptedServer, connect: Connect) -> None:
    """Up to the last byte that is allowed, and no further."""
    body = b'{"ok": 1}'
    server.answer(body + b" " * (1000 - len(body)))
    server.answer(body + b" " * (1001 - len(body)))
    http_client = narrow(connect(server.endpoint), 1000)

    assert http_client.get("/workflow") == {"ok": 1}
    with pytest.raises(ResponseTooLargeError):
        http_client.get("/workflow")
    assert MAX_BODY_BYTES == 32 * MEGABYTE


DRIPS = {
    "a byte of the body": (LONG, b" "),
    "a byte of a body up to the end of the connection": (TO_THE_END + b'{"a": 1}', b" "),
    "a byte of a chunk": (CHUNKED + b"100000\r\n", b" "),
    "a byte of the size of a chunk": (CHUNKED, b"0"),
    "a line behind the last chunk": (CHUNKED + b"0\r\n", b"X: 1\r\n"),
    "a byte of the status": (b"", b"H"),
    "a header": (HEAD, b"X"),
    "an answer before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_drips_for_ever_is_cut(
    server: ScriptedServer, connect: Connect, drip: str
) -> None:
    """No gap between two bytes is long, but the whole is."""
    pour(server, *DRIPS[drip], pause=0.02)
    http_client = connect(server.endpoint, attempts=1, read_seconds=30, call_seconds=0.3)
    before = time.monotonic()

    with pytest.raises(ApiConnectionError, match="not complete before the deadline"):
        http_client.get("/workflow")

    assert time.monotonic() - before < SOON_SECONDS
    assert server.left.wait(SOON_SECONDS)


def test_headers_without_end_are_refused(server: ScriptedServer, connect: Connect) -> None:
    """As fast as the line carries them."""
    pour(server, HEAD, b"X: 1\r\n" * 100)

    with pytest.raises(ApiConnectionError):
        connect(server.endpoint, attempts=1).get("/workflow")

    assert server.left.wait(SOON_SECONDS)


def test_a_call_in_time_is_not_cut_later(server: ScriptedServer, connect: Connect) -> None:
    """The connection is used again after the time of the first call is over."""
    http_client = connect(server.endpoint, attempts=1, call_seconds=0.2)

    http_client.get("/workflow")
    time.sleep(0.4)  # nothing to wait for: the point is that nothing happens

    assert http_client.get("/workflow") == {"ok": True}


@pytest.mark.parametrize("depth", [1_000_000, 2_000])
@pytest.mark.parametrize("kind", [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_without_end_is_refused(
    server: ScriptedServer, connect: Connect, kind: tuple[bytes, bytes], depth: int
) -> None:
    """It is no JSON to us, as half a JSON is none."""
    server.answer(b'{"a":' + kind[0] * depth + b"1" + kind[1] * depth + b"}")

    with pytest.raises(ServerError, match="no JSON object"):
        connect(server.endpoint, attempts=1).get("/workflow")


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b'{"a": NaN}', b'{"a": "\\ud800"}', b'\xef\xbb\xbf{"a": "x\ty"}']
)
def test_what_is_not_quite_json_costs_one_call_and_is_counted(
    server: ScriptedServer, connect: Connect, body: bytes
) -> None:
    """The next answer would have the same character in it."""
    server.answer(body)
    http_client = connect(server.endpoint)

    assert set(http_client.get("/workflow")) == {"a"}
    stats = http_client.metrics.snapshot()
    assert (stats.calls, stats.retries, stats.repaired) == (1, 0, 1)
    assert stats.repair.startswith("GET /workflow: ")


@pytest.mark.parametrize("body", [b'{"a": "\xff', b'{"a": NaN', b'{"a": "\\ud800"', b'{"a": 1e400'])
def test_what_is_cut_is_no_answer(server: ScriptedServer, connect: Connect, body: bytes) -> None:
    """Whatever else is wrong with it."""
    server.answer(body)

    with pytest.raises(ServerError, match="no JSON object"):
        connect(server.endpoint, attempts=1).get("/workflow")


@pytest.mark.parametrize("kind", ["text/html", "text/plain; charset=utf-16", "image/png", ""])
def test_a_wrong_content_type_does_not_matter(
    server: ScriptedServer, connect: Connect, kind: str
) -> None:
    """The body tells; some gateways label everything alike."""
    server.answer({"ok": 1}, Content_Type=kind)

    assert connect(server.endpoint).get("/workflow") == {"ok": 1}


def test_the_last_of_duplicate_keys_counts(server: ScriptedServer, connect: Connect) -> None:
    """As in every other reader of JSON."""
    server.answer(b'{"a": 1, "a": 2}')

    assert connect(server.endpoint).get("/workflow") == {"a": 2}


def test_a_message_cannot_steer_a_terminal(server: ScriptedServer, connect: Connect) -> None:
    """What a server says of itself is shown; colours and cursor movements are not its to send."""
    server.answer({"message": "no\x1b[2J\x1b]0;title\x07\u202e way\x9b1m"}, 400)

    with pytest.raises(ApiError) as caught:
        connect(server.endpoint).get("/workflow")

    assert str(caught.value) == "GET /workflow: the server answered 400 (no[2J]0;title way1m)."


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"])
def test_nothing_but_reading_goes_out(
    server: ScriptedServer, connect: Connect, method: str
) -> None:
    """By construction: the one adapter that there is sends nothing else."""
    http_client = connect(server.endpoint)
    request = http_client.session.prepare_request(requests.Request("GET", server.endpoint))
    request.method = method

    with pytest.raises(ValueError, match="tower-etl only reads"):
        http_client.session.send(request, timeout=(1, 1))

    assert (server.seen, http_client.metrics.snapshot().calls) == ([], 0)
