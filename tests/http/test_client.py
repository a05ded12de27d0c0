"""HTTP client over loopback: retries, counted calls, and errors with an explanation."""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tower_etl.clock import Clock
from tower_etl.errors import (
    ApiConnectionError,
    ApiError,
    ForbiddenError,
    RateLimitError,
    ServerError,
    SyncStoppedError,
)
from tower_etl.http import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import FakeClock
    from tests.http.conftest import ScriptedServer
    from tower_etl.http import JsonHttpClient

    Connect = Callable[..., JsonHttpClient]

OK = {"ok": True}
TROUBLES: dict[str, Callable[[ScriptedServer], None]] = {
    "429": lambda server: server.answer({}, 429),
    "408": lambda server: server.answer({}, 408),
    "500": lambda server: server.answer({}, 500),
    "502 with HTML": lambda server: server.answer(b"<html>", 502, Content_Type="text/html"),
    "503": lambda server: server.answer({}, 503),
    "504": lambda server: server.answer({}, 504),
    "reset": lambda server: server.reset(),
    "truncated body": lambda server: server.truncate(b'{"workflows": ['),
    "half a JSON": lambda server: server.answer(b'{"workflows": ['),
    "HTML with 200": lambda server: server.answer(b"<html>", Content_Type="text/html"),
    "broken compression": lambda server: server.answer(b"no gzip", Content_Encoding="gzip"),
    "slow answer": lambda server: server.stall(),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_transient_error_is_retried(
    server: ScriptedServer, connect: Connect, trouble: str
) -> None:
    """Two failures and the response make three calls, two of them retries."""
    http_client = connect(server.endpoint, read_seconds=0.2)
    for _ in range(2):
        TROUBLES[trouble](server)

    assert http_client.get("/workflow") == OK

    stats = http_client.metrics.snapshot()
    assert (stats.calls, stats.retries, len(server.seen)) == (3, 2, 3)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_lasting_error_is_raised_after_the_last_attempt(
    server: ScriptedServer, connect: Connect, trouble: str
) -> None:
    """The message names the call."""
    http_client = connect(server.endpoint, read_seconds=0.2, attempts=3)
    for _ in range(4):
        TROUBLES[trouble](server)

    with pytest.raises(ApiError, match=r"^GET /workflow: .*\.$") as caught:
        http_client.get("/workflow")

    stats = http_client.metrics.snapshot()
    assert caught.value.retryable
    assert (stats.calls, stats.retries, len(server.seen)) == (3, 2, 3)


def test_a_403_is_not_retried(server: ScriptedServer, connect: Connect) -> None:
    http_client = connect(server.endpoint)
    server.answer({"message": "Operation not allowed"}, 403)

    with pytest.raises(ForbiddenError, match="Operation not allowed"):
        http_client.get("/workflow")

    assert (http_client.metrics.snapshot().calls, http_client.metrics.snapshot().retries) == (1, 0)


def test_the_backoff_doubles_with_each_retry(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    """The jitter is the minimum, so that each delay is half of the back-off."""
    http_client = replace(connect(server.endpoint), jitter=lambda: 0.0)
    for _ in range(3):
        server.answer({}, 502)

    http_client.get("/workflow")

    assert sum(fake_clock.slept) == pytest.approx(0.25 + 0.5 + 1.0)
    assert http_client.metrics.snapshot().throttled_seconds == 0.0


def test_a_429_pauses_calls_for_retry_after_and_counts_the_time(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    http_client = connect(server.endpoint)
    server.answer({}, 429, Retry_After="7")

    http_client.get("/workflow")

    assert sum(fake_clock.slept) == pytest.approx(7.0)
    assert http_client.metrics.snapshot().throttled_seconds == pytest.approx(7.0)


def test_retry_after_zero_still_waits_one_second(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    """The platform sends `Retry-After: 0` before the second is over (API fact 10)."""
    http_client = connect(server.endpoint)
    server.answer({}, 429, Retry_After="0")

    http_client.get("/workflow")

    assert sum(fake_clock.slept) == pytest.approx(1.0)


def test_a_lasting_429_raises_an_error_with_the_last_retry_after(
    server: ScriptedServer, connect: Connect
) -> None:
    http_client = connect(server.endpoint, attempts=2)
    for _ in range(2):
        server.answer({}, 429, Retry_After="2")

    with pytest.raises(RateLimitError) as caught:
        http_client.get("/workflow")

    assert (caught.value.status_code, caught.value.retry_after) == (429, 2.0)


def test_every_attempt_waits_for_the_rate_limiter(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    """With one call per 10 s, four attempts take 30 s although the back-off is shorter."""
    http_client = replace(connect(server.endpoint, calls_per_second=0.1), jitter=lambda: 0.0)
    for _ in range(3):
        server.answer({}, 500)

    http_client.get("/workflow")

    assert fake_clock.clock.monotonic() == pytest.approx(30.0)


def test_a_client_with_another_retry_policy_shares_the_counters(
    server: ScriptedServer, connect: Connect
) -> None:
    """The first call to an endpoint makes fewer attempts."""
    http_client = connect(server.endpoint)
    for _ in range(5):
        server.answer({}, 500)

    with pytest.raises(ServerError):
        http_client.with_policy(RetryPolicy(attempts=2)).get("/service-info")

    assert http_client.metrics.snapshot().calls == 2


def test_query_parameters_are_url_encoded(server: ScriptedServer, connect: Connect) -> None:
    """A search has colons and spaces."""
    connect(server.endpoint).get("/workflow", {"max": 100, "search": "after:1 before:2"})

    assert [s.path for s in server.seen] == ["/api/workflow?max=100&search=after%3A1+before%3A2"]


def test_calls_send_user_agent_api_version_json_and_token_headers(
    server: ScriptedServer, connect: Connect
) -> None:
    connect(server.endpoint, "let-me-in").get("/user-info")

    sent = server.seen[0].headers
    expected = {
        "user-agent": "tower-etl-tests/1",
        "accept-version": "1",
        "accept": "application/json",
        "authorization": "Bearer let-me-in",
    }
    assert expected == {name: sent[name] for name in expected}


def test_calls_accept_gzip_compression(server: ScriptedServer, connect: Connect) -> None:
    """Pages of tasks are large."""
    connect(server.endpoint).get("/workflow")

    assert "gzip" in server.seen[0].headers["accept-encoding"]


def test_a_refused_connection_is_retried_and_explained(
    server: ScriptedServer, connect: Connect
) -> None:
    http_client = connect(server.endpoint, attempts=2)
    server.close()

    with pytest.raises(
        ApiConnectionError, match=r"no answer from 127\.0\.0\.1:\d+ \(the connection was ref"
    ):
        http_client.get("/workflow")

    assert http_client.metrics.snapshot().calls == 2


def test_an_unresolvable_host_name_is_explained(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the host and omits the text of the resolver."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(ApiConnectionError) as caught:
        connect("https://tower.invalid/api", attempts=1).get("/workflow")

    expected = (
        "GET /workflow: no answer from tower.invalid (the name does not resolve). "
        "Check the endpoint and the network."
    )
    assert expected == str(caught.value)
    assert caught.value.status_code is None


def test_a_failed_tls_handshake_is_explained(server: ScriptedServer, connect: Connect) -> None:
    """The client speaks TLS to a server that does not."""
    endpoint = server.endpoint.replace("http://", "https://")

    with pytest.raises(ApiConnectionError, match="the TLS certificate or handshake was not accept"):
        connect(endpoint, attempts=1).get("/workflow")


def test_a_read_timeout_is_explained(server: ScriptedServer, connect: Connect) -> None:
    server.stall()

    with pytest.raises(ApiConnectionError, match="the server took too long to respond"):
        connect(server.endpoint, attempts=1, read_seconds=0.1).get("/workflow")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("reset", "the connection was closed"), ("truncated body", "the response was cut off")],
)
def test_a_broken_connection_is_explained(
    server: ScriptedServer, connect: Connect, trouble: str, words: str
) -> None:
    """The connection breaks before or within the response."""
    TROUBLES[trouble](server)

    with pytest.raises(ApiConnectionError, match=re.escape(f"({words})")):
        connect(server.endpoint, attempts=1).get("/workflow")


@pytest.mark.parametrize("status", [429, 503])
def test_close_ends_calls_that_wait_for_a_retry(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The server requested a wait of one minute."""
    http_client = connect(server.endpoint)
    server.answer({}, status, Retry_After="60")
    waits, sync_result = threading.Event(), list[BaseException]()

    def sleep(_: float) -> None:
        waits.set()
        time.sleep(0.001)  # the clock stands still, and the wait would spin

    monkeypatch.setattr(
        http_client.rate_limiter, "_clock", Clock(sleep=sleep, monotonic=lambda: 0.0)
    )

    def call() -> None:
        try:
            http_client.get("/workflow")
        except SyncStoppedError as error:
            sync_result.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert waits.wait(10)
    http_client.close()
    thread.join(10)

    assert ([SyncStoppedError], 1) == ([type(e) for e in sync_result], len(server.seen))


def test_many_threads_share_one_client(server: ScriptedServer, connect: Connect) -> None:
    """Each of 20 calls returns a response; five of them fail once and are counted twice."""
    http_client = connect(server.endpoint)
    for _ in range(5):
        server.answer({}, 503)
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(http_client.get("/workflow")))
        for _ in range(20)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    stats = http_client.metrics.snapshot()
    assert answers == [OK] * 20
    assert (stats.calls, stats.retries, len(server.seen)) == (25, 5, 25)


def test_a_proxy_from_the_environment_is_used(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is read once, when the client is opened."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.endpoint.removesuffix("/api"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere.example.org")

    http_client = connect("http://tower.example.org/api", insecure_http=True)
    assert http_client.get("/workflow") == OK
    assert [seen.path for seen in server.seen] == ["http://tower.example.org/api/workflow"]


def test_a_host_in_no_proxy_is_requested_directly(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")

    assert connect(server.endpoint).get("/workflow") == OK


def test_a_ca_bundle_from_the_environment_is_used(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`REQUESTS_CA_BUNDLE` applies as in every program that uses requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/somewhere/bundle.pem")

    assert connect("https://tower.example.org/api").session.verify == "/somewhere/bundle.pem"
