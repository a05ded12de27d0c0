"""Run the fuzz trials for some minutes: `python -m tests.fuzz.long MINUTES [SEED]`."""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

from tests.fuzz import targets
from tests.semantics.platform import SwappableApp
from tower_etl.simulator import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.simulator import Simulator

_TURN_SECONDS = {"bytes": 0.5, "walk": 0.5, "tables": 2.0, "plan": 1.0, "sync": 6.0}


def fuzz(minutes: float, first: int) -> Counter[str]:
    """Try the kinds of inputs in turn until the time is over or a trial fails.

    Return the number of inputs of each kind.
    """
    board, tried = SwappableApp(), Counter[str]()
    ends = time.monotonic() + 60 * minutes
    with serve(cast("Simulator", board)) as url:
        kinds: dict[str, Callable[[int], None]] = {
            "bytes": targets.try_bytes,
            "walk": targets.try_walk,
            "tables": targets.try_tables,
            "plan": targets.try_plan,
            "sync": targets.SyncTrial(url, board),
        }
        names = itertools.cycle(kinds)
        while time.monotonic() < ends:
            name = next(names)
            turn = time.monotonic() + _TURN_SECONDS[name]
            while time.monotonic() < turn:
                seed = first + tried[name]
                try:
                    kinds[name](seed)
                except BaseException:
                    sys.stderr.write(f"{name}: seed {seed}\n")
                    raise
                tried[name] += 1
    return tried


if __name__ == "__main__":
    minutes, seeds = float(sys.argv[1]), [int(word) for word in sys.argv[2:]]
    start = seeds[0] if seeds else random.randrange(10**9)
    counts = fuzz(minutes, start)
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    sys.stdout.write(f"{counts.total():,} inputs, seeds from {start} on: {told}. All held.\n")
