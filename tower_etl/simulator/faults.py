"""Faults that the simulator plays on its callers: what each does, and when it strikes."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field
from typing import Literal, get_args

FaultKind = Literal["status", "reset", "truncated", "half_json", "garbled", "html", "slow"]


@dataclass(frozen=True)
class Fault:
    """One way in which a call goes wrong.

    Attributes:
        kind: `status`: an error status with a JSON body; `reset`: the connection is reset without
            an answer; `truncated`: the connection closes before Content-Length is reached;
            `half_json`: 200 with a JSON text cut in the middle; `garbled`: the right answer, with
            bytes in it that are no JSON; `html`: 200, or `status`, with an HTML page; `slow`: the
            right answer after `delay`.
        status: HTTP status for `status` and `html`.
        retry_after: `Retry-After` of the answer, None to leave it out.
        delay: Seconds before anything is answered.
        times: How many calls in a row it strikes.
    """

    kind: FaultKind
    status: int | None = None
    retry_after: str | None = None
    delay: float = 0.0
    times: int = 1

    def __post_init__(self) -> None:
        """Refuse kinds that the simulator does not know.

        Raises:
            ValueError: The kind is unknown, or `times` is less than 1.
        """
        if self.kind not in get_args(FaultKind):
            msg = f"Unknown fault {self.kind!r}; one of {', '.join(get_args(FaultKind))}."
            raise ValueError(msg)
        if self.times < 1:
            msg = f"A fault strikes at least once, not {self.times} times."
            raise ValueError(msg)


DEFAULT_MIX: tuple[Fault, ...] = (
    Fault("status", status=429, retry_after="0"),
    Fault("status", status=429),
    Fault("status", status=500),
    Fault("status", status=502),
    Fault("status", status=503, retry_after="1"),
    Fault("status", status=504),
    Fault("reset"),
    Fault("truncated"),
    Fault("half_json"),
    Fault("html"),
    Fault("html", status=502),
    Fault("slow", delay=0.05),
)


@dataclass
class _Aim:
    path: re.Pattern[str]
    fault: Fault
    left: int


@dataclass
class FaultPlan:
    """Decides for each call whether a fault strikes.

    Aimed faults (`add`) come first; beside them a seeded share of all calls is struck.

    Attributes:
        rate: Share of calls that a fault of `mix` strikes, 0 to 1.
        seed: Seed of the choice.
        mix: Faults to choose from, alike in weight.
        most_in_a_row: Seeded faults that one path meets at most in a row, so that a caller that
            tries once more than that always gets through. None for no bound.
    """

    rate: float = 0.0
    seed: int = 1
    mix: tuple[Fault, ...] = DEFAULT_MIX
    most_in_a_row: int | None = 3
    _aims: list[_Aim] = field(default_factory=list, repr=False)
    _rows: dict[str, int] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Make the generator of the seeded choice."""
        self._rng = random.Random(f"faults:{self.seed}")

    def add(self, path: str, fault: Fault) -> None:
        """Let the next `fault.times` calls fail whose path and query contain the pattern.

        Args:
            path: Regular expression, searched in `path?query`.
            fault: What strikes them.
        """
        with self._lock:
            self._aims.append(_Aim(re.compile(path), fault, fault.times))

    def clear(self) -> None:
        """Forget the aimed faults and strike no seeded ones."""
        with self._lock:
            self._aims.clear()
            self.rate = 0.0

    def choose(self, path: str, query: str = "") -> Fault | None:
        """The fault that strikes this call, None for none."""
        place = f"{path}?{query}" if query else path
        with self._lock:
            return self._aimed(place) or self._drawn(place)

    def _aimed(self, place: str) -> Fault | None:
        for aim in self._aims:
            if aim.path.search(place):
                aim.left -= 1
                if not aim.left:
                    self._aims.remove(aim)
                return aim.fault
        return None

    def _drawn(self, place: str) -> Fault | None:
        if not self.mix or self._rng.random() >= self.rate:
            self._rows.pop(place, None)
            return None
        row = self._rows.get(place, 0) + 1
        if self.most_in_a_row is not None and row > self.most_in_a_row:
            self._rows.pop(place, None)
            return None
        self._rows[place] = row
        return self._rng.choice(self.mix)
