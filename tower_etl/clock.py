"""The time, passed to functions as a value.

Two clocks are never mixed: `now` is the wall clock (UTC, for timestamps that are stored or compared
with the API), `monotonic` counts seconds from an arbitrary start (for delays and durations).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """Source of time that is passed in, so that a test can stop or move it.

    Attributes:
        now: Returns the wall-clock time as an aware UTC datetime.
        monotonic: Returns the seconds since an arbitrary start; never decreases.
        sleep: Waits for the given number of seconds.
    """

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


SYSTEM_CLOCK = Clock()
