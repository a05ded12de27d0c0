"""Run the history tests for a long time: `python -m tests.semantics.soak MINUTES`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, cast

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SwappableApp
from tests.semantics.test_histories import run_histories
from tower_etl.simulator import serve

if TYPE_CHECKING:
    from tower_etl.simulator import Simulator

BATCH = 50
STEPS = 50


def soak(minutes: float) -> int:
    """Run random histories for some minutes; return their number, or raise the first failure."""
    board, tried = SwappableApp(), 0
    ends = time.monotonic() + 60 * minutes
    with serve(cast("Simulator", board)) as url:
        while time.monotonic() < ends:
            run_histories(
                BATCH, STEPS, url=url, board=board, make_warehouse=staticmethod(InMemoryDestination)
            )
            tried += BATCH
    return tried


if __name__ == "__main__":
    minutes = float(sys.argv[1])
    sys.stdout.write(f"{soak(minutes)} histories in {minutes:g} minutes, all equal\n")
