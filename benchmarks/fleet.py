"""Processes that share a token, and a platform that enforces the rate limit."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.simulator import (
    RateLimit,
    SimClock,
    Simulator,
    World,
    serve,
)
from tower_etl.simulator.calls import digest_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.simulator import Call

CALLERS = Path(__file__).with_name("concurrent_clients.py")
LIMIT = RateLimit()  # 20 in any second
PATIENCE_S = 240


@dataclass(frozen=True)
class Fleet:
    """Processes that share a token.

    Attributes:
        token: Token of all processes.
        processes: Number of processes.
        threads: Number of threads per process.
        environ: Additional environment variables.
    """

    token: str
    processes: int
    threads: int
    environ: tuple[tuple[str, str], ...] = ()

    def start(self, url: str, home: Path, calls: int) -> list[subprocess.Popen[bytes]]:
        """Start the processes, which send `calls` calls in total."""
        environ = os.environ | {
            "HOME": str(home),
            "TOWER_ACCESS_TOKEN": self.token,
            "NO_PROXY": "*",
        }
        environ |= dict(self.environ)
        part = str(calls // self.processes)
        command = [sys.executable, str(CALLERS), url, part, str(self.threads)]
        return [subprocess.Popen(command, env=environ) for _ in range(self.processes)]


def make_platform(
    fleets: list[Fleet], *, latency_s: float = 0.0, jitter_s: float = 0.0
) -> Simulator:
    """Return a platform that accepts the fleets' tokens and limits the calls of each token."""
    tokens = [fleet.token for fleet in fleets]
    world = World(SimClock())
    return Simulator(world, tokens=tokens, limit=LIMIT, latency_s=latency_s, jitter_s=jitter_s)


def play(
    fleets: list[Fleet], simulator: Simulator, calls: int, home: Path
) -> dict[Fleet, list[Call]]:
    """Send a number of calls from each fleet, and return them in the order of their arrival.

    Raises:
        CalledProcessError: One of the processes failed.
    """
    with serve(simulator) as url, ExitStack() as stack:
        started = [
            process
            for fleet in fleets
            for process in stack.enter_context(ending(fleet.start(url, home, calls)))
        ]
        for process in started:
            if process.wait(PATIENCE_S):
                raise subprocess.CalledProcessError(process.returncode, process.args)
    arrived = simulator.calls
    return {f: [c for c in arrived if c.token == digest_token(f.token)] for f in fleets}


@contextmanager
def ending(processes: list[subprocess.Popen[bytes]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Kill the processes at the end of the block."""
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait(PATIENCE_S)


def measure_pace(calls: list[Call]) -> float:
    """Return the calls per second between the first and the last arrival."""
    return (len(calls) - 1) / (calls[-1].arrived_s - calls[0].arrived_s)
