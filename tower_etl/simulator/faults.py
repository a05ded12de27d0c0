"""Injected faults: kinds of failure, and the plan that decides which calls fail."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field
from typing import Literal, get_args

FaultKind = Literal["status", "reset", "truncated", "half_json", "garbled", "html", "slow"]


@dataclass(frozen=True)
class Fault:
    """A way in which a call fails.

    Attributes:
        kind: `status`: an error status with a JSON body; `reset`: the connection is reset without
            a response; `truncated`: the connection closes before Content-Length is reached;
            `half_json`: 200 with a JSON text cut in the middle; `garbled`: the correct response
            with bytes that are not JSON; `html`: 200, or `status`, with an HTML page; `slow`: the
            correct response after `delay`.
        status: HTTP status for `status` and `html`.
        retry_after: `Retry-After` header of the response, None to omit it.
        delay: Seconds before any byte is sent.
        times: Number of consecutive calls that fail.
    """

    kind: FaultKind
    status: int | None = None
    retry_after: str | None = None
    delay: float = 0.0
    times: int = 1

    def __post_init__(self) -> None:
        """Raise a ValueError if the kind is unknown, or `times` is less than 1."""
        if self.kind not in get_args(FaultKind):
            msg = f"Unknown fault {self.kind!r}: expected one of {', '.join(get_args(FaultKind))}."
            raise ValueError(msg)
        if self.times < 1:
            msg = f"Invalid number of times {self.times}: a fault occurs at least once."
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
class TargetedFault:
    """A fault for the next `left` calls whose `path?query` matches the pattern."""

    pattern: re.Pattern[str]
    fault: Fault
    left: int


@dataclass
class FaultPlan:
    """Decides for each call whether it fails.

    Targeted faults (`add`) come first; of the other calls a seeded share fails.

    Attributes:
        rate: Share of calls that fail with a fault of `mix`, 0 to 1.
        seed: Seed of the choice.
        mix: Faults to choose from, with equal weights.
        max_consecutive: Maximum number of seeded faults in a row for one path, so that a caller
            with one more attempt always succeeds. None for no maximum.
    """

    rate: float = 0.0
    seed: int = 1
    mix: tuple[Fault, ...] = DEFAULT_MIX
    max_consecutive: int | None = 3
    _targeted: list[TargetedFault] = field(default_factory=list, repr=False)
    _consecutive: dict[str, int] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Create the random generator."""
        self._rng = random.Random(f"faults:{self.seed}")

    def add(self, path: str, fault: Fault) -> None:
        """Make the next `fault.times` calls fail whose `path?query` contains the pattern `path`."""
        with self._lock:
            self._targeted.append(TargetedFault(re.compile(path), fault, fault.times))

    def clear(self) -> None:
        """Remove the targeted faults and set the rate to 0."""
        with self._lock:
            self._targeted.clear()
            self.rate = 0.0

    def choose(self, path: str, query: str = "") -> Fault | None:
        """Return the fault of this call, None for none."""
        url = f"{path}?{query}" if query else path
        with self._lock:
            return self._take_targeted(url) or self._draw(url)

    def _take_targeted(self, url: str) -> Fault | None:
        for targeted in self._targeted:
            if targeted.pattern.search(url):
                targeted.left -= 1
                if not targeted.left:
                    self._targeted.remove(targeted)
                return targeted.fault
        return None

    def _draw(self, url: str) -> Fault | None:
        count = self._consecutive.pop(url, 0) + 1
        if not self.mix or self._rng.random() >= self.rate:
            return None
        if self.max_consecutive is not None and count > self.max_consecutive:
            return None
        self._consecutive[url] = count
        return self._rng.choice(self.mix)
