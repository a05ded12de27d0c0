"""When the next call may go out: pure decisions, stored nowhere.

Calls are spaced evenly instead of being let through in bursts: a window of 20 a second lets 20 pass
at the end of one and 20 at the start of the next, which the server sees as 40 in a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Ledger:
    """What has been promised so far, on one monotonic clock.

    Attributes:
        next_free: Moment of the next free slot, in seconds.
        paused_until: Moment before which no call goes out, in seconds.
    """

    next_free: float = 0.0
    paused_until: float = 0.0


def reserve_slot(ledger: Ledger, now: float, spacing: float) -> tuple[float, Ledger]:
    """The moment at which one more call may go out, and the ledger with that slot taken.

    Args:
        ledger: What was promised before.
        now: The present moment, in seconds.
        spacing: Seconds between two calls.
    """
    slot = max(now, ledger.next_free, ledger.paused_until)
    return slot, replace(ledger, next_free=slot + spacing)


def pause(ledger: Ledger, until: float) -> Ledger:
    """The ledger with all calls held back until that moment, in seconds; never shortens a pause."""
    return replace(ledger, paused_until=max(ledger.paused_until, until))
