"""The simulated platform in a process: `python -m benchmarks.server SIZE-AS-JSON NOW`."""

from __future__ import annotations

import json
import sys
from datetime import datetime

from benchmarks.sizes import Size, make_world
from tower_etl.simulator import (
    NO_LIMIT,
    RateLimit,
    Simulator,
    run_forever,
)


def main() -> None:
    """Serve until SIGTERM; the first printed line is the endpoint."""
    size = Size(**json.loads(sys.argv[1]))
    simulator = Simulator(
        make_world(size, datetime.fromisoformat(sys.argv[2])),
        limit=RateLimit() if size.limited else NO_LIMIT,
        latency_s=size.latency_s,
    )
    run_forever(simulator, 0, lambda endpoint: print(endpoint, flush=True))


if __name__ == "__main__":
    main()
