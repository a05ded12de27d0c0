"""Processes that share a token stay within one rate limit, as counted at the server."""

from __future__ import annotations

import signal
import time
from itertools import product
from typing import TYPE_CHECKING

import pytest

from benchmarks.fleet import PATIENCE_S, Fleet, ending, make_platform, measure_pace, play
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.config.settings import HttpSettings, Settings, Token
from tower_etl.http import RequestMetrics
from tower_etl.http.client import open_rate_limiter
from tower_etl.simulator import peak_calls_per_second, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.2])
def test_no_second_has_more_calls_than_the_rate_limit(tmp_path: Path, jitter_s: float) -> None:
    """The calls come from 1 to 4 processes of 1 to 16 threads, with a varying network delay."""
    fleets = [Fleet(f"sharers-{p}-{t}", p, t) for p, t in product((1, 2, 4), (1, 4, 16))]

    arrived = play(fleets, make_platform(fleets, jitter_s=jitter_s), 120, tmp_path)

    worst = {fleet.token: peak_calls_per_second(calls) for fleet, calls in arrived.items()}
    assert {token: count for token, count in worst.items() if count > 20} == {}
    statuses = {call.status for calls in arrived.values() for call in calls}
    assert (min(map(len, arrived.values())), 429 in statuses) == (120, False)


@pytest.mark.slow
def test_one_process_and_four_processes_use_most_of_the_rate_limit(tmp_path: Path) -> None:
    """`benchmarks/limit.py` measures the exact share."""
    fleets = [Fleet("one", 1, 8), Fleet("four", 4, 8)]

    arrived = play(fleets, make_platform(fleets, latency_s=0.1), 200, tmp_path)

    for calls in arrived.values():
        assert peak_calls_per_second(calls) <= 20
        assert measure_pace(calls) >= 13


@pytest.mark.slow
def test_a_rate_limit_share_leaves_the_rest_to_other_clients(tmp_path: Path) -> None:
    """Half of the rate limit is ten calls per second, for all syncs together."""
    fleet = Fleet("sharers", 2, 4, (("TOWER_ETL_BUDGET_SHARE", "0.5"),))

    calls = play([fleet], make_platform([fleet]), 60, tmp_path)[fleet]

    assert peak_calls_per_second(calls) == 10
    assert measure_pace(calls) >= 6


@pytest.mark.slow
def test_killed_and_stopped_processes_do_not_reserve_calls(tmp_path: Path) -> None:
    """One process is killed and one is stopped; the third continues at a high rate."""
    fleet = Fleet("sharers", 3, 4)
    simulator = make_platform([fleet])
    with serve(simulator) as url, ending(fleet.start(url, tmp_path, 600)) as processes:
        killed, stopped, _last = processes
        wait_until(lambda: len(simulator.calls) > 40)
        killed.kill()
        stopped.send_signal(signal.SIGSTOP)
        begun = len(simulator.calls)
        wait_until(lambda: len(simulator.calls) > begun + 60)

    assert peak_calls_per_second(simulator.calls) <= 20
    assert measure_pace(simulator.calls[begun + 20 : begun + 60]) >= 10


def test_a_pause_after_a_429_applies_to_all_limiters_of_a_store(tmp_path: Path) -> None:
    """The limiters share it through the rate limit store. Afterwards, all calls are slower."""
    pause_s = 1.5
    http_settings = HttpSettings(rate_limit_store=tmp_path / "budget")
    settings = Settings("http://127.0.0.1:9/api", Token("sharers"), http=http_settings)
    refused, other = (open_rate_limiter(settings, SYSTEM_CLOCK, RequestMetrics()) for _ in range(2))
    other.acquire()

    begun = time.monotonic()
    refused.pause(pause_s)
    moments = []
    for _ in range(5):
        other.record_response(other.acquire())
        moments.append(time.monotonic())

    assert moments[0] - begun >= pause_s
    assert moments[-1] - moments[0] >= 4 * 0.95 * 1.25 * 0.99 / 20
