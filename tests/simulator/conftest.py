"""Simulated worlds, and a client that calls them over real HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tower_etl.simulator import DEMO_TOKEN, SimClock, Simulator, World, build_world, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Caller:
    """Client that calls a served simulator with a token.

    Attributes:
        endpoint: Base address of the API, including `/api`.
        session: HTTP session of all calls.
    """

    endpoint: str
    session: requests.Session = field(default_factory=requests.Session)

    def ask(self, path: str, **query: object) -> requests.Response:
        """Return the response to a GET."""
        params = {name: str(value) for name, value in query.items()}
        return self.session.get(self.endpoint + path, params=params, timeout=30)

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON of the response to a GET, which must have status 200."""
        answer = self.ask(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self, path: str, **query: object) -> int:
        """Return the status of the response to a GET."""
        return self.ask(path, **query).status_code

    def control(self, path: str, json: object = None, **query: object) -> requests.Response:
        """Return the response to a POST below `/_sim`."""
        root = self.endpoint.removesuffix("/api")
        params = {name: str(value) for name, value in query.items()}
        return self.session.post(f"{root}/_sim{path}", json=json, params=params, timeout=30)


@pytest.fixture
def clock() -> SimClock:
    """Return a clock that is frozen at noon."""
    return SimClock.frozen_at(NOON)


@pytest.fixture
def world(clock: SimClock) -> World:
    """Return an empty world at noon."""
    return World(clock)


@pytest.fixture
def lab(world: World) -> int:
    """Add a workspace to the empty world, and return its id."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def call() -> Iterator[Callable[..., Caller]]:
    """Return a function that serves a simulator or a world until the end of the test."""
    with ExitStack() as stack:

        def start(
            subject: World | Simulator,
            token: str | None = DEMO_TOKEN,
            **settings: Any,
        ) -> Caller:
            if isinstance(subject, World):
                subject = Simulator(subject, **{"limit": None, **settings})
            caller = Caller(stack.enter_context(serve(subject)))
            stack.enter_context(caller.session)
            if token is not None:
                caller.session.headers["Authorization"] = f"Bearer {token}"
            return caller

        yield start


@pytest.fixture
def seeded(clock: SimClock) -> World:
    """Build a small generated world at noon."""
    return build_world(7, clock=clock, runs=60, days=20, mean_tasks=30)
