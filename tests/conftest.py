"""Shared fixtures: a clock, a simulated platform, and the public test data."""

from __future__ import annotations

import os
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tower_etl.clock import Clock
from tower_etl.config.settings import HttpSettings, Settings, Token
from tower_etl.http import open_http_client
from tower_etl.simulator import (
    DEMO_TOKEN,
    SimClock,
    Simulator,
    World,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tower_etl.http import JsonHttpClient

_QUICK_TESTS = 20  # as many quick tests take about as long as a slow one

settings.register_profile("any machine", deadline=None)  # a busy machine must not fail tests
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs all slow tests."""
    parser.addoption(
        "--slow", action="store_true", help="run all slow tests, not only the first of each file"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select one slow test per file unless more are requested, and run the longest files first.

    All slow tests run with `--slow`, or when tests are named by id or by `-k`.

    pytest-xdist gives each worker one file after another (`--dist loadfile`), so that the fixtures
    of a file are created once.
    """
    is_named = config.option.keyword or any("::" in name for name in config.args)
    if not config.getoption("--slow") and not is_named:
        items[:], left = _sample_slow_tests(items)
        _check_fixtures(left)
        config.hook.pytest_deselected(items=left)
    weights: Counter[Path] = Counter()
    for item in items:
        weights[item.path] += 1 + _QUICK_TESTS * _weigh(item)
    items.sort(key=lambda item: -weights[item.path])  # stable: tests keep their order in a file


def _sample_slow_tests(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the quick tests with the first slow one of each file, and the tests left out."""
    sampled: set[Path] = set()
    chosen: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        is_slow = _weigh(item) > 0
        (left if is_slow and item.path in sampled else chosen).append(item)
        if is_slow:
            sampled.add(item.path)
    return chosen, left


def _check_fixtures(items: list[pytest.Item]) -> None:
    """Reject tests with an unknown fixture, which pytest would report only when it runs them.

    Raises:
        UsageError: A fixture does not exist.
    """
    for item in items:
        assert isinstance(item, pytest.Function)
        unknown = set(item.fixturenames) - item._fixtureinfo.name2fixturedefs.keys() - {"request"}
        if unknown:
            msg = f"{item.nodeid} uses unknown fixtures: {', '.join(sorted(unknown))}."
            raise pytest.UsageError(msg)


def _weigh(item: pytest.Item) -> int:
    """Return 0 for a quick test, and more for a test that takes minutes."""
    slow = item.get_closest_marker("slow")
    return 1 + int(slow.kwargs.get("minutes", 0)) if slow else 0


START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class FakeClock:
    """A clock whose time passes only while a thread sleeps.

    Attributes:
        clock: The clock to pass to the code under test.
        slept: Seconds of each sleep, in order.
    """

    def __init__(self) -> None:
        self.clock = Clock(self._now, self._monotonic, self._sleep)
        self.slept: list[float] = []
        self._passed = 0.0
        self._lock = threading.Lock()

    def _now(self) -> datetime:
        return START + timedelta(seconds=self._passed)

    def _monotonic(self) -> float:
        return self._passed

    def _sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += seconds


@pytest.fixture
def fake_clock() -> FakeClock:
    """Return a clock whose time passes only during sleeps."""
    return FakeClock()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of the public test data; skip the test if the folder does not exist."""
    beside = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("TOWER_ETL_SHARED", beside))
    if not (folder / "responses").is_dir():
        pytest.skip(f"no public test data at {folder}: set TOWER_ETL_SHARED")
    return folder


@pytest.fixture
def connect(
    fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., JsonHttpClient]]:
    """Open HTTP clients on the fake clock: `connect(endpoint, token=..., **http_settings)`."""
    monkeypatch.setenv("NO_PROXY", "*")  # a developer's proxy must not intercept requests
    opened: list[JsonHttpClient] = []

    def open_to(
        endpoint: str,
        token: str = DEMO_TOKEN,
        *,
        insecure_http: bool = False,
        **http_settings: float | None,
    ) -> JsonHttpClient:
        pace = HttpSettings(**({"calls_per_second": None} | http_settings))  # type: ignore[arg-type] # by name
        settings = Settings(endpoint, Token(token), allow_http=insecure_http, http=pace)
        opened.append(open_http_client(settings, "tower-etl-tests/1", fake_clock.clock))
        return opened[-1]

    yield open_to
    for http_client in opened:
        http_client.close()


@pytest.fixture
def world() -> World:
    """Return an empty world whose clock is frozen."""
    return World(SimClock.frozen_at(START))


@pytest.fixture
def simulator(world: World) -> Simulator:
    """Return a simulated platform without a rate limit."""
    return Simulator(world, limit=None)


@pytest.fixture
def endpoint(simulator: Simulator) -> Iterator[str]:
    """Serve the simulated platform and yield its address."""
    with serve(simulator) as url:
        yield url
