"""Most calls in any second at the server, by send rate and network jitter.

The table shows why calls are not sent at even intervals. Time is simulated, so that the figures
are the same on every machine: a call takes a fixed delay plus up to `jitter` to the server, and the
rest of the latency back. Prints a Markdown table.
"""

from __future__ import annotations

import random
from collections import deque
from heapq import heappop, heappush
from itertools import accumulate, repeat
from typing import TYPE_CHECKING

from tower_etl.http.rate_limit.policy import (
    RateLimit,
    RequestWindow,
    network_delay,
    next_send_time,
    record_arrival,
    record_send,
)
from tower_etl.simulator.calls import peak_calls_in_window

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = 20_000
LATENCY_S = 0.1
JITTERS_S = (0.0, 0.05, 0.2)
PACES = (16.0, 17.0, 18.0, 18.5, 19.0, 20.0)


def iter_delays(jitter_s: float) -> Iterator[float]:
    """Yield the delay of each call to the server, in seconds."""
    chance = random.Random("pace")  # noqa: S311 reproducible jitter
    while True:
        yield LATENCY_S / 2 + jitter_s * chance.random()


def space_evenly(pace: float, jitter_s: float) -> list[float]:
    """Return the arrivals of calls that are sent evenly, `pace` calls per second."""
    departures = accumulate(repeat(1 / pace, CALLS))
    return [at + way for at, way in zip(departures, iter_delays(jitter_s), strict=False)]


def wait_for_answers(jitter_s: float) -> list[float]:
    """Return the arrivals of calls that are sent when the request window allows."""
    window, now, limit = RequestWindow(), 100.0, RateLimit.of(20)
    answers: list[tuple[float, float]] = []
    latest: deque[float] = deque(maxlen=200)
    arrivals = []
    for way in iter_delays(jitter_s):
        while (earliest := next_send_time(window, now, limit)) > now:
            if not answers or answers[0][0] > earliest:
                now = earliest
                continue
            now, departed = heappop(answers)
            latest.append(now - departed)
            window = record_arrival(window, departed, network_delay(now - departed, latest))
        window = record_send(window, now)
        arrivals.append(now + way)
        heappush(answers, (now + way + LATENCY_S / 2, now))
        if len(arrivals) == CALLS:
            return arrivals
    return arrivals


def describe(name: str, schedules: list[list[float]]) -> str:
    """Return a row of the table: most calls in any second, and calls per second, by jitter."""
    cells = [
        f"{peak_calls_in_window(times, 1.0)} ({(CALLS - 1) / (max(times) - min(times)):.1f}/s)"
        for times in schedules
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Simulate all rates and jitters and print the table."""
    print(f"| calls are sent | {' | '.join(f'jitter {s * 1000:.0f} ms' for s in JITTERS_S)} |")
    print("|---" * (1 + len(JITTERS_S)) + "|")
    for pace in PACES:
        print(describe(f"evenly, {pace:g}/s", [space_evenly(pace, s) for s in JITTERS_S]))
    print(describe("by the request window, 20/s", [wait_for_answers(s) for s in JITTERS_S]))


if __name__ == "__main__":
    main()
