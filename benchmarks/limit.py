"""Rate of processes that share a token, and whether they ever exceed the rate limit.

Usage: python -m benchmarks.limit [CALLS] (1,000). Real processes call a platform on loopback that
counts arrivals and allows 20 in any second. Prints a Markdown table.
"""

from __future__ import annotations

import sys
import tempfile
from http import HTTPStatus
from itertools import product
from pathlib import Path

from benchmarks.fleet import Fleet, make_platform, measure_pace, play
from tower_etl.simulator import peak_calls_per_second

LATENCY_S = 0.1
JITTERS_S = (0.0, 0.05, 0.2)


def main(calls: int) -> None:
    """Measure all fleets and print the table."""
    print("| jitter | processes | threads each | worst second | calls a second | refused |")
    print("|---|---|---|---|---|---|")
    for jitter_s in JITTERS_S:
        fleets = [Fleet(f"sharers-{p}-{t}", p, t) for p, t in product((1, 2, 4), (4, 16))]
        simulator = make_platform(fleets, latency_s=LATENCY_S, jitter_s=jitter_s)
        with tempfile.TemporaryDirectory() as home:
            arrived = play(fleets, simulator, calls, Path(home))
        for fleet, seen in arrived.items():
            refused = sum(call.status == HTTPStatus.TOO_MANY_REQUESTS for call in seen)
            figures = f"{peak_calls_per_second(seen)} | {measure_pace(seen):.1f} | {refused}"
            print(f"| {jitter_s * 1000:.0f} ms | {fleet.processes} | {fleet.threads} | {figures} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
