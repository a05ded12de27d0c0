"""One limit, whoever calls: counted where it counts, at the server."""

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
from tower_etl.http.rate_limit.limiter import open_rate_limiter
from tower_etl.simulator import peak_calls_per_second, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.2])
def test_no_second_holds_more_than_the_limit(tmp_path: Path, jitter_s: float) -> None:
    """With 1, 2 and 4 processes of 1 to 16 threads, and a way that is longer now and then."""
    fleets = [Fleet(f"sharers-{p}-{t}", p, t) for p, t in product((1, 2, 4), (1, 4, 16))]

    arrived = play(fleets, make_platform(fleets, jitter_s=jitter_s), 120, tmp_path)

    worst = {fleet.token: peak_calls_per_second(calls) for fleet, calls in arrived.items()}
    assert {token: count for token, count in worst.items() if count > 20} == {}
    statuses = {call.status for calls in arrived.values() for call in calls}
    assert (min(map(len, arrived.values())), 429 in statuses) == (120, False)


@pytest.mark.slow
def test_the_limit_is_used(tmp_path: Path) -> None:
    """By one process or four; how much of it, `benchmarks/limit.py` measures."""
    fleets = [Fleet("one", 1, 8), Fleet("four", 4, 8)]

    arrived = play(fleets, make_platform(fleets, latency_s=0.1), 200, tmp_path)

    for calls in arrived.values():
        assert peak_calls_per_second(calls) <= 20
        assert measure_pace(calls) >= 13


@pytest.mark.slow
def test_a_share_leaves_the_rest_to_others(tmp_path: Path) -> None:
    """Half of it is ten calls a second, by all who take that half."""
    fleet = Fleet("sharers", 2, 4, (("TOWER_ETL_BUDGET_SHARE", "0.5"),))

    calls = play([fleet], make_platform([fleet]), 60, tmp_path)[fleet]

    assert peak_calls_per_second(calls) == 10
    assert measure_pace(calls) >= 6


@pytest.mark.slow
def test_who_dies_or_stands_still_takes_nothing_along(tmp_path: Path) -> None:
    """One sharer is killed and one stopped in the middle; the last goes on at the whole pace."""
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


def test_a_refusal_holds_back_every_sharer(tmp_path: Path) -> None:
    """The one that is refused tells the others, through the ledger; later all call slower."""
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
