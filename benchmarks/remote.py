"""The simulated platform, seen from outside: started, moved in time, and asked what it counted."""

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

from tower_etl.simulator.request_log import peak_calls_in_window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from benchmarks.scenario import Event
    from benchmarks.sizes import Size

ROOT = Path(__file__).parents[1]
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Traffic:
    """What the server counted.

    Attributes:
        calls: Calls that arrived, refused ones included.
        refused: Calls answered with 429.
        worst_second: Most calls in any sliding second.
    """

    calls: int
    refused: int
    worst_second: int


@dataclass
class Platform:
    """A simulated platform in a process of its own.

    Attributes:
        endpoint: Where it answers.
    """

    endpoint: str
    _seen: int = 0

    def tell(self, events: list[Event]) -> None:
        """Let things happen there."""
        for event in events:
            self._post("event", event.as_order())

    def advance(self, seconds: float) -> None:
        """Move its clock."""
        self._post(f"advance?seconds={seconds}", {})

    def read_traffic(self) -> Traffic:
        """What was counted since this was asked last."""
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the developer's is not what is measured
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
        RuntimeError: The server does not come up.
    """
    command = [sys.executable, "-m", "benchmarks.server", json.dumps(asdict(size))]
    with subprocess.Popen(
        [*command, now.isoformat()], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            endpoint = process.stdout.readline().strip() if process.stdout else ""
            if not endpoint:
                msg = "The simulated platform did not come up."
                raise RuntimeError(msg)
            yield Platform(endpoint)
        finally:
            process.terminate()
