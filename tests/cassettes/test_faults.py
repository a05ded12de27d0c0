"""Retries of failed calls, from recorded responses; waits pass on a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cassettes import scenarios
from tower_etl.errors import RateLimitError, ServerError
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import FakeClock
    from tower_etl.api import TowerClient

    Ask = Callable[..., TowerClient]


def corrupt(*faults: Fault) -> Callable[..., object]:
    """Return a scenario in which calls for the user fail with the given faults."""
    return lambda: scenarios.serve_small_account(*(("/user-info", fault) for fault in faults))


def test_a_throttled_call_waits_for_the_time_in_retry_after(
    ask: Ask, fake_clock: FakeClock
) -> None:
    """The server sends 429 with `Retry-After: 7`, then the response."""
    client = ask(corrupt(Fault("status", 429, retry_after="7")))
    assert client.get_user()["id"] == scenarios.USER
    stats = client.http.metrics.snapshot()
    assert (stats.calls, stats.retries, stats.throttled_seconds) == (2, 1, 7.0)
    assert pytest.approx(sum(fake_clock.slept)) == 7.0


def test_retry_after_zero_still_waits_one_second(ask: Ask, fake_clock: FakeClock) -> None:
    """`Retry-After: 0` does not make the client retry at once (API fact 10)."""
    client = ask(corrupt(Fault("status", 429, retry_after="0")))
    assert client.get_user()["id"] == scenarios.USER
    assert pytest.approx(sum(fake_clock.slept)) == 1.0


def test_a_call_throttled_on_every_attempt_raises_rate_limit_error(ask: Ask) -> None:
    """After the last attempt, the error carries the server's `Retry-After`."""
    client = ask(corrupt(Fault("status", 429, retry_after="3", times=2)), attempts=2)
    with pytest.raises(RateLimitError, match="Simulated fault 429") as caught:
        client.get_user()
    assert (caught.value.status_code, caught.value.retry_after) == (429, 3.0)


def test_a_server_error_is_retried(ask: Ask) -> None:
    """The server sends 500, then 502, then the response."""
    client = ask(corrupt(Fault("status", 500), Fault("html", 502)))
    assert client.get_user()["id"] == scenarios.USER
    stats = client.http.metrics.snapshot()
    assert (stats.calls, stats.retries, stats.throttled_seconds) == (3, 2, 0.0)


def test_an_html_response_on_every_attempt_is_a_server_error(ask: Ask) -> None:
    """A gateway sends 200 with HTML until the attempts are used up."""
    client = ask(corrupt(Fault("html", times=2)), attempts=2)
    with pytest.raises(ServerError, match="of text/html that are no JSON object"):
        client.get_user()


def test_a_truncated_json_response_is_retried(ask: Ask) -> None:
    """The server sends 200 with truncated JSON, then the whole response."""
    client = ask(corrupt(Fault("half_json")))
    assert client.get_user()["id"] == scenarios.USER
    assert client.http.metrics.snapshot().retries == 1
