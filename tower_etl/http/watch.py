"""Deadlines that one thread looks after; a thread for each would be work for every call."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[[], None]


class DeadlineScheduler:
    """Does what is to be done at a deadline, unless it is taken back before.

    Deadlines are of this machine's own clock: what they end is a real connection.
    """

    def __init__(self) -> None:
        self._due: dict[object, tuple[float, Act]] = {}
        self._turn = threading.Condition()
        self._wakes = math.inf  # when the thread looks next
        self._thread: threading.Thread | None = None

    def schedule(self, seconds: float, act: Act) -> object:
        """Have something done that many seconds from now.

        Args:
            seconds: From now.
            act: What is done, by the thread of all deadlines: it must be quick, and not raise.

        Returns:
            What `remove` takes back.
        """
        key, at = object(), time.monotonic() + seconds
        with self._turn:
            self._due[key] = at, act
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif at < self._wakes:
                self._turn.notify()
        return key

    def cancel(self, key: object) -> None:
        """Take it back; once this returns, it is done or never will be."""
        with self._turn:
            self._due.pop(key, None)

    def _run(self) -> None:
        with self._turn:
            while True:
                now = time.monotonic()
                for key in [key for key, (at, _) in self._due.items() if at <= now]:
                    _, act = self._due.pop(key)
                    act()
                self._wakes = min((at for at, _ in self._due.values()), default=math.inf)
                self._turn.wait(None if math.isinf(self._wakes) else self._wakes - now)
