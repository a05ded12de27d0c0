"""The simulated platform in another process: start, control of its clock, and its call counts."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from tower_etl.simulator.calls import peak_calls_in_window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from benchmarks.scenario import Event
    from benchmarks.sizes import Size

ROOT = Path(__file__).parents[1]
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Traffic:
    """Calls counted at the server.

    Attributes:
        calls: Calls that arrived, including refused calls.
        refused: Calls refused with 429.
        worst_second: Most calls in any sliding second.
    """

    calls: int
    refused: int
    worst_second: int


@dataclass
class Platform:
    """A simulated platform in a separate process.

    Attributes:
        endpoint: Address of its API.
    """

    endpoint: str
    _seen: int = 0

    def tell(self, events: list[Event]) -> None:
        """Apply events to the world."""
        for event in events:
            self._post("event", event.as_order())

    def advance(self, seconds: float) -> None:
        """Advance the clock of the platform."""
        self._post(f"advance?seconds={seconds}", {})

    def read_traffic(self) -> Traffic:
        """Return the calls since the previous call of this method."""
        with requests.Session() as session:
            session.trust_env = False  # do not measure a proxy of the developer
            found = session.get(self._control("calls"), timeout=_TIMEOUT_S).json()
        calls = found["calls"][len(found["calls"]) - (found["total"] - self._seen) :]
        self._seen = found["total"]
        refused = sum(call["status"] == HTTPStatus.TOO_MANY_REQUESTS for call in calls)
        worst = peak_calls_in_window((call["arrived_s"] for call in calls), 1.0)
        return Traffic(len(calls), refused, worst)

    def _control(self, path: str) -> str:
        return f"{self.endpoint.removesuffix('/api')}/_sim/{path}"

    def _post(self, path: str, order: dict[str, Any]) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.post(self._control(path), json=order, timeout=_TIMEOUT_S).raise_for_status()


@contextmanager
def open_platform(size: Size, now: datetime) -> Iterator[Platform]:
    """Serve the world of a size while the block runs.

    Raises:
        RuntimeError: The server did not start.
    """
    command = [sys.executable, "-m", "benchmarks.server", json.dumps(asdict(size))]
    with subprocess.Popen(
        [*command, now.isoformat()], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            endpoint = process.stdout.readline().strip() if process.stdout else ""
            if not endpoint:
                msg = "The simulated platform did not start."
                raise RuntimeError(msg)
            yield Platform(endpoint)
        finally:
            process.terminate()
