"""Calls over real HTTP: what is repeated, what is counted, and what is given up."""

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
)
from tower_etl.http import RateLimiterClosedError

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
def test_a_passing_trouble_is_overcome(
    server: ScriptedServer, connect: Connect, trouble: str
) -> None:
    """Two failures, then the answer: three calls, two of them repeated ones."""
    http_client = connect(server.endpoint, read_seconds=0.2)
    for _ in range(2):
        TROUBLES[trouble](server)

    assert http_client.get("/workflow") == OK

    stats = http_client.metrics.snapshot()
    assert (stats.calls, stats.retries, len(server.seen)) == (3, 2, 3)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_lasting_trouble_is_given_up(
    server: ScriptedServer, connect: Connect, trouble: str
) -> None:
    """After `attempts` calls, with a sentence that names the call."""
    http_client = connect(server.endpoint, read_seconds=0.2, attempts=3)
    for _ in range(4):
        TROUBLES[trouble](server)

    with pytest.raises(ApiError, match=r"^GET /workflow: .*\.$") as caught:
        http_client.get("/workflow")

    stats = http_client.metrics.snapshot()
    assert caught.value.retryable
    assert (stats.calls, stats.retries, len(server.seen)) == (3, 2, 3)


def test_a_refusal_is_asked_for_once(server: ScriptedServer, connect: Connect) -> None:
    """403 stays 403."""
    http_client = connect(server.endpoint)
    server.answer({"message": "Operation not allowed"}, 403)

    with pytest.raises(ForbiddenError, match="Operation not allowed"):
        http_client.get("/workflow")

    assert (http_client.metrics.snapshot().calls, http_client.metrics.snapshot().retries) == (1, 0)


def test_back_off_waits_longer_each_time(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    """Half a second, doubled, with the least jitter."""
    http_client = replace(connect(server.endpoint), jitter=lambda: 0.0)
    for _ in range(3):
        server.answer({}, 502)

    http_client.get("/workflow")

    assert sum(fake_clock.slept) == pytest.approx(0.25 + 0.5 + 1.0)
    assert http_client.metrics.snapshot().throttled_seconds == 0.0


def test_a_rate_limit_holds_every_call_back(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    """A 429 that asks for 7 seconds: the time passes in the budget, and is counted."""
    http_client = connect(server.endpoint)
    server.answer({}, 429, Retry_After="7")

    http_client.get("/workflow")

    assert sum(fake_clock.slept) == pytest.approx(7.0)
    assert http_client.metrics.snapshot().throttled_seconds == pytest.approx(7.0)


def test_retry_after_zero_is_no_invitation(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    """The platform sends `Retry-After: 0` before the second is over."""
    http_client = connect(server.endpoint)
    server.answer({}, 429, Retry_After="0")

    http_client.get("/workflow")

    assert sum(fake_clock.slept) == pytest.approx(1.0)


def test_a_lasting_rate_limit_says_so(server: ScriptedServer, connect: Connect) -> None:
    """With the wait that the server asked for last."""
    http_client = connect(server.endpoint, attempts=2)
    for _ in range(2):
        server.answer({}, 429, Retry_After="2")

    with pytest.raises(RateLimitError) as caught:
        http_client.get("/workflow")

    assert (caught.value.status_code, caught.value.retry_after) == (429, 2.0)


def test_every_attempt_pays_for_a_call(
    server: ScriptedServer, connect: Connect, fake_clock: FakeClock
) -> None:
    """Two calls a second, four attempts: the back-off is no way around the spacing."""
    http_client = replace(connect(server.endpoint, calls_per_second=0.1), jitter=lambda: 0.0)
    for _ in range(3):
        server.answer({}, 500)

    http_client.get("/workflow")

    assert fake_clock.clock.monotonic() == pytest.approx(30.0)


def test_a_call_may_have_a_patience_of_its_own(server: ScriptedServer, connect: Connect) -> None:
    """The first call to an address gives up sooner."""
    http_client = connect(server.endpoint)
    for _ in range(5):
        server.answer({}, 500)

    with pytest.raises(ServerError):
        http_client.get("/service-info", policy=replace(http_client.policy, attempts=2))

    assert http_client.metrics.snapshot().calls == 2


def test_parameters_are_sent_quoted(server: ScriptedServer, connect: Connect) -> None:
    """A search has colons and spaces."""
    connect(server.endpoint).get("/workflow", {"max": 100, "search": "after:1 before:2"})

    assert [s.path for s in server.seen] == ["/api/workflow?max=100&search=after%3A1+before%3A2"]


def test_headers_say_who_asks_and_for_what(server: ScriptedServer, connect: Connect) -> None:
    """User agent, version of the API, JSON, and the token."""
    connect(server.endpoint, "let-me-in").get("/user-info")

    sent = server.seen[0].headers
    expected = {
        "user-agent": "tower-etl-tests/1",
        "accept-version": "1",
        "accept": "application/json",
        "authorization": "Bearer let-me-in",
    }
    assert expected == {name: sent[name] for name in expected}


def test_compressed_answers_are_read(server: ScriptedServer, connect: Connect) -> None:
    """A task page is large: compression is asked for."""
    connect(server.endpoint).get("/workflow")

    assert "gzip" in server.seen[0].headers["accept-encoding"]


def test_a_refused_connection_is_explained(server: ScriptedServer, connect: Connect) -> None:
    """Nothing listens there: as often as the policy says, then a sentence."""
    http_client = connect(server.endpoint, attempts=2)
    server.close()

    with pytest.raises(ApiConnectionError, match=r"no answer from 127\.0\.0\.1:\d+ \(nothing list"):
        http_client.get("/workflow")

    assert http_client.metrics.snapshot().calls == 2


def test_an_unknown_name_is_explained(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's words stay out, the host stays in."""

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


def test_an_untrusted_connection_is_explained(server: ScriptedServer, connect: Connect) -> None:
    """TLS spoken to a server that speaks none."""
    endpoint = server.endpoint.replace("http://", "https://")

    with pytest.raises(ApiConnectionError, match="the TLS certificate or handshake was not accept"):
        connect(endpoint, attempts=1).get("/workflow")


def test_a_silent_server_is_explained(server: ScriptedServer, connect: Connect) -> None:
    """It took the call and says nothing."""
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
    """Before the answer, or within it."""
    TROUBLES[trouble](server)

    with pytest.raises(ApiConnectionError, match=re.escape(f"({words})")):
        connect(server.endpoint, attempts=1).get("/workflow")


@pytest.mark.parametrize("status", [429, 503])
def test_closing_ends_calls_that_wait(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A call that was told to come back in a minute ends with the transport, not after it."""
    http_client = connect(server.endpoint)
    server.answer({}, status, Retry_After="60")
    waits, sync_result = threading.Event(), list[BaseException]()

    def sleep(_: float) -> None:
        waits.set()
        time.sleep(0.001)  # this clock stands still: it would spin otherwise

    monkeypatch.setattr(
        http_client.rate_limiter, "_clock", Clock(sleep=sleep, monotonic=lambda: 0.0)
    )

    def call() -> None:
        try:
            http_client.get("/workflow")
        except RateLimiterClosedError as error:
            sync_result.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert waits.wait(10)
    http_client.close()
    thread.join(10)

    assert ([RateLimiterClosedError], 1) == ([type(e) for e in sync_result], len(server.seen))


def test_many_threads_share_one_transport(server: ScriptedServer, connect: Connect) -> None:
    """Every call is answered and counted, failed ones twice."""
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


def test_a_proxy_of_the_environment_is_asked(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for before the first call, and for all of them."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.endpoint.removesuffix("/api"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere.example.org")

    http_client = connect("http://tower.example.org/api", insecure_http=True)
    assert http_client.get("/workflow") == OK
    assert [seen.path for seen in server.seen] == ["http://tower.example.org/api/workflow"]


def test_a_host_that_no_proxy_is_for_is_asked_itself(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`NO_PROXY` names it."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")

    assert connect(server.endpoint).get("/workflow") == OK


def test_certificates_of_the_environment_are_used(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`REQUESTS_CA_BUNDLE` names them, as for any program that uses requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/somewhere/bundle.pem")

    assert connect("https://tower.example.org/api").session.verify == "/somewhere/bundle.pem"
