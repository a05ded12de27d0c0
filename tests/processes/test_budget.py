"""One limit, whoever calls: counted where it counts, at the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.http import Meter
from tower_etl.http.budget import open_budget
from tower_etl.settings import Pacing, Settings, Token
from tower_etl.sim import RateLimit, SimClock, Simulator, World, serve, worst_second
from tower_etl.sim.calls import digest_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.sim import Call

    Play = Callable[[list["Fleet"], Simulator, int], dict["Fleet", list[Call]]]

CALLERS = Path(__file__).with_name("callers.py")
LIMIT = RateLimit()  # 20 in any second
PATIENCE_S = 120


@dataclass(frozen=True)
class Fleet:
    """Processes that share a token.

    Attributes:
        token: Theirs.
        processes: How many.
        threads: Of each.
        environ: More of the environment.
    """

    token: str
    processes: int
    threads: int
    environ: tuple[tuple[str, str], ...] = ()

    def start(self, url: str, home: Path, calls: int) -> list[subprocess.Popen[bytes]]:
        """Start them: so many calls in all."""
        environ = os.environ | {
            "HOME": str(home),
            "TOWER_ACCESS_TOKEN": self.token,
            "NO_PROXY": "*",
        }
        environ |= dict(self.environ)
        part = str(calls // self.processes)
        command = [sys.executable, str(CALLERS), url, part, str(self.threads)]
        return [subprocess.Popen(command, env=environ) for _ in range(self.processes)]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Let fleets call a platform; the calls of each, as they arrived."""

    def run(fleets: list[Fleet], simulator: Simulator, calls: int) -> dict[Fleet, list[Call]]:
        with serve(simulator) as url:
            started = [one for fleet in fleets for one in fleet.start(url, tmp_path, calls)]
            assert [0] * len(started) == [one.wait(PATIENCE_S) for one in started]
        arrived = simulator.calls
        return {f: [c for c in arrived if c.token == digest_token(f.token)] for f in fleets}

    return run


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def make_platform(
    fleets: list[Fleet], *, latency_s: float = 0.0, jitter_s: float = 0.0
) -> Simulator:
    """A platform that knows their tokens and holds each to the limit."""
    tokens = [fleet.token for fleet in fleets]
    world = World.empty(SimClock())
    return Simulator(world, tokens=tokens, limit=LIMIT, latency_s=latency_s, jitter_s=jitter_s)


def measure_pace(calls: list[Call]) -> float:
    """Calls a second, from the first arrival to the last."""
    return (len(calls) - 1) / (calls[-1].arrived_s - calls[0].arrived_s)


@pytest.mark.slow
@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.2])
def test_no_second_holds_more_than_the_limit(play: Play, jitter_s: float) -> None:
    """With 1, 2 and 4 processes of 1 to 16 threads, and a way that is longer now and then."""
    fleets = [Fleet(f"sharers-{p}-{t}", p, t) for p, t in product((1, 2, 4), (1, 4, 16))]

    arrived = play(fleets, make_platform(fleets, jitter_s=jitter_s), 120)

    worst = {fleet.token: worst_second(calls) for fleet, calls in arrived.items()}
    assert {token: count for token, count in worst.items() if count > 20} == {}
    assert {(len(calls), 429 in {c.status for c in calls}) for calls in arrived.values()} == {
        (120, False)
    }


@pytest.mark.slow
def test_the_limit_is_used(play: Play) -> None:
    """At a tenth of a second of latency, by one process or four, at least nine tenths of it."""
    fleets = [Fleet("one", 1, 8), Fleet("four", 4, 8)]

    arrived = play(fleets, make_platform(fleets, latency_s=0.1), 300)

    for calls in arrived.values():
        assert worst_second(calls) <= 20
        assert measure_pace(calls) >= 18


@pytest.mark.slow
def test_a_share_leaves_the_rest_to_others(play: Play) -> None:
    """Half of it is ten calls a second, by all who take that half."""
    fleet = Fleet("sharers", 2, 4, (("TOWER_ETL_BUDGET_SHARE", "0.5"),))

    calls = play([fleet], make_platform([fleet]), 60)[fleet]

    assert worst_second(calls) == 10
    assert measure_pace(calls) >= 8


def test_who_dies_or_stands_still_takes_nothing_along(tmp_path: Path) -> None:
    """One sharer is killed and one stopped in the middle; the last goes on at the whole pace."""
    fleet = Fleet("sharers", 3, 4)
    simulator = make_platform([fleet])
    with serve(simulator) as url:
        killed, stopped, last = fleet.start(url, tmp_path, 600)
        wait_until(lambda: len(simulator.calls) > 40)
        killed.kill()
        stopped.send_signal(signal.SIGSTOP)
        begun = len(simulator.calls)
        wait_until(lambda: len(simulator.calls) > begun + 60)
        stopped.kill()
        last.kill()
        for process in (killed, stopped, last):
            process.wait(PATIENCE_S)

    assert worst_second(simulator.calls) <= 20
    assert measure_pace(simulator.calls[begun + 20 : begun + 60]) >= 16


def test_a_refusal_holds_back_every_sharer(tmp_path: Path) -> None:
    """The one that is refused tells the others, through the ledger; later all call slower."""
    pause_s = 1.5
    pacing = Pacing(ledger=tmp_path / "budget")
    settings = Settings("http://127.0.0.1:9/api", Token("sharers"), pacing=pacing)
    refused, other = (open_budget(settings, SYSTEM_CLOCK, Meter()) for _ in range(2))
    other.acquire()

    begun = time.monotonic()
    refused.hold_back(pause_s)
    moments = []
    for _ in range(5):
        other.settle(other.acquire())
        moments.append(time.monotonic())

    assert moments[0] - begun >= pause_s
    assert moments[-1] - moments[0] >= 4 * 0.95 * 1.25 * 0.99 / 20
