"""The only place that asks the time.

Two clocks that are never mixed: `now` is the wall clock (UTC, for what is stored and compared with
the API), `monotonic` counts seconds from an arbitrary start (for waiting and measuring).
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
    """Time as a value that is passed in, so that a test can hold it still or move it.

    Attributes:
        now: The wall clock, as an aware UTC datetime.
        monotonic: Seconds since an arbitrary start, never going back.
        sleep: Waits for that many seconds.
    """

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


SYSTEM_CLOCK = Clock()
