"""Hostile or broken servers: every call ends soon and uses little memory."""

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
SOON_SECONDS = 5.0  # on a busy machine; without limits these calls would take minutes or never end


def narrow(http_client: JsonHttpClient, max_bytes: int) -> JsonHttpClient:
    """Lower the maximum size of a body, and return the client."""
    adapter = cast("RateLimitedAdapter", http_client.session.get_adapter(http_client.endpoint))
    adapter.max_body_bytes = max_bytes
    return http_client


def zip_zeros(megabytes: int) -> bytes:
    """Return the given megabytes of spaces, compressed to about a thousandth of that size."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b" " * MEGABYTE) for _ in range(megabytes)]
    return b"".join(pieces) + packer.flush()


def send_endlessly(server: ScriptedServer, head: bytes, piece: bytes, pause: float = 0.0) -> None:
    """Respond to the next call with a head, and repeat a piece until the client disconnects."""

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
def test_an_endless_body_is_aborted_at_the_size_limit(
    server: ScriptedServer, connect: Connect, kind: str
) -> None:
    """The call is not retried, and the connection is closed."""
    send_endlessly(server, *ENDLESS[kind])
    http_client = narrow(connect(server.endpoint), 4 * MEGABYTE)

    with pytest.raises(ResponseTooLargeError, match=r"^GET /workflow: the response is larger"):
        http_client.get("/workflow")

    assert http_client.metrics.snapshot().calls == 1
    assert server.left.wait(SOON_SECONDS)


def test_a_compression_bomb_stays_within_the_memory_limit(
    server: ScriptedServer, connect: Connect
) -> None:
    """The body decompresses from about 100 kB to 100 MB."""
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


def test_a_doubly_compressed_bomb_is_refused(server: ScriptedServer, connect: Connect) -> None:
    server.answer(gzip.compress(zip_zeros(64)), Content_Encoding="gzip, gzip")

    with pytest.raises(ResponseTooLargeError):
        narrow(connect(server.endpoint), 4 * MEGABYTE).get("/workflow")


def test_a_body_with_forty_layers_of_compression_is_refused(
    server: ScriptedServer, connect: Connect
) -> None:
    """Each layer would cost CPU time."""
    server.answer(b"x", Content_Encoding=", ".join(["gzip"] * 40))

    with pytest.raises(ApiConnectionError, match="could not be decompressed"):
        connect(server.endpoint, attempts=1).get("/workflow")


def test_a_body_of_the_maximum_size_is_read_and_a_longer_one_refused(
    server: ScriptedServer, connect: Connect
) -> None:
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


@pytest.mark.parametrize("trickle", DRIPS)
def test_a_response_that_trickles_is_cut_off_at_the_deadline(
    server: ScriptedServer, connect: Connect, trickle: str
) -> None:
    """The read time-out does not end it, because no gap between two bytes is long."""
    send_endlessly(server, *DRIPS[trickle], pause=0.02)
    http_client = connect(server.endpoint, attempts=1, read_seconds=30, call_seconds=0.3)
    before = time.monotonic()

    with pytest.raises(ApiConnectionError, match="not complete before the deadline"):
        http_client.get("/workflow")

    assert time.monotonic() - before < SOON_SECONDS
    assert server.left.wait(SOON_SECONDS)


def test_endless_headers_are_refused(server: ScriptedServer, connect: Connect) -> None:
    send_endlessly(server, HEAD, b"X: 1\r\n" * 100)

    with pytest.raises(ApiConnectionError):
        connect(server.endpoint, attempts=1).get("/workflow")

    assert server.left.wait(SOON_SECONDS)


def test_a_completed_call_does_not_close_its_reused_connection(
    server: ScriptedServer, connect: Connect
) -> None:
    """The deadline of the first call passes while the connection is idle."""
    http_client = connect(server.endpoint, attempts=1, call_seconds=0.2)

    http_client.get("/workflow")
    time.sleep(0.4)  # no condition to wait for: the test is that nothing happens

    assert http_client.get("/workflow") == {"ok": True}


@pytest.mark.parametrize("depth", [1_000_000, 2_000])
@pytest.mark.parametrize("kind", [(b"[", b"]"), (b'{"a":', b"}")])
def test_deeply_nested_json_is_refused(
    server: ScriptedServer, connect: Connect, kind: tuple[bytes, bytes], depth: int
) -> None:
    """It is reported like truncated JSON, as an invalid response."""
    server.answer(b'{"a":' + kind[0] * depth + b"1" + kind[1] * depth + b"}")

    with pytest.raises(ServerError, match="no JSON object"):
        connect(server.endpoint, attempts=1).get("/workflow")


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b'{"a": NaN}', b'{"a": "\\ud800"}', b'\xef\xbb\xbf{"a": "x\ty"}']
)
def test_nearly_valid_json_is_repaired_without_a_retry_and_counted(
    server: ScriptedServer, connect: Connect, body: bytes
) -> None:
    """A retry would return the same characters."""
    server.answer(body)
    http_client = connect(server.endpoint)

    assert set(http_client.get("/workflow")) == {"a"}
    stats = http_client.metrics.snapshot()
    assert (stats.calls, stats.retries, stats.repaired) == (1, 0, 1)
    assert stats.repair.startswith("GET /workflow: ")


@pytest.mark.parametrize("body", [b'{"a": "\xff', b'{"a": NaN', b'{"a": "\\ud800"', b'{"a": 1e400'])
def test_truncated_json_with_other_defects_is_refused(
    server: ScriptedServer, connect: Connect, body: bytes
) -> None:
    """Repairs must not hide that a response is incomplete."""
    server.answer(body)

    with pytest.raises(ServerError, match="no JSON object"):
        connect(server.endpoint, attempts=1).get("/workflow")


@pytest.mark.parametrize("kind", ["text/html", "text/plain; charset=utf-16", "image/png", ""])
def test_the_content_type_of_a_response_is_ignored(
    server: ScriptedServer, connect: Connect, kind: str
) -> None:
    """Some gateways send the same content type for everything; the body decides."""
    server.answer({"ok": 1}, Content_Type=kind)

    assert connect(server.endpoint).get("/workflow") == {"ok": 1}


def test_the_last_of_duplicate_json_keys_is_used(server: ScriptedServer, connect: Connect) -> None:
    """Most JSON parsers do the same."""
    server.answer(b'{"a": 1, "a": 2}')

    assert connect(server.endpoint).get("/workflow") == {"a": 2}


def test_control_characters_are_removed_from_server_messages(
    server: ScriptedServer, connect: Connect
) -> None:
    """A server must not be able to send colours or cursor movements to a terminal."""
    server.answer({"message": "no\x1b[2J\x1b]0;title\x07\u202e way\x9b1m"}, 400)

    with pytest.raises(ApiError) as caught:
        connect(server.endpoint).get("/workflow")

    assert str(caught.value) == "GET /workflow: the server answered 400 (no[2J]0;title way1m)."


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"])
def test_the_adapter_refuses_every_method_but_get(
    server: ScriptedServer, connect: Connect, method: str
) -> None:
    """The session has no other adapter, so that tower-etl cannot write to the platform."""
    http_client = connect(server.endpoint)
    request = http_client.session.prepare_request(requests.Request("GET", server.endpoint))
    request.method = method

    with pytest.raises(ValueError, match="tower-etl only reads"):
        http_client.session.send(request, timeout=(1, 1))

    assert (server.seen, http_client.metrics.snapshot().calls) == ([], 0)
