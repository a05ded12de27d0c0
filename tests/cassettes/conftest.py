"""Fixtures that replay one cassette per test; `--record` records them from the simulator."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.cassettes.scenarios import TOKEN
from tests.cassettes.scrubber import HOST, Scrubber
from tests.cassettes.vcr_format import CASSETTES, open_cassette
from tower_etl.api import TowerClient
from tower_etl.simulator import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tower_etl.http import JsonHttpClient
    from tower_etl.simulator import Simulator

    Scene = Callable[[], Simulator]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--record`.

    pytest knows it if this folder is named on the command line, as in `make record`.
    """
    parser.addoption(
        "--record", action="store_true", help="write the cassettes again against the simulator"
    )


def find_cassette(item: pytest.Item) -> Path:
    """Return the path of a test's cassette: the folder by module, the name by test."""
    module = item.path.stem.removeprefix("test_")
    name = re.sub(r"\W+", "-", item.name.removeprefix("test_")).strip("-")
    return CASSETTES / module / f"{name}.json"


@pytest.fixture
def play(request: pytest.FixtureRequest) -> Iterator[Callable[[Scene], str]]:
    """Return a function that plays the test's cassette and returns the endpoint to call.

    The scenario is used for recording only. A test fails if it makes fewer calls than were
    recorded, or other calls.
    """
    record = request.config.getoption("--record", default=False)
    path = find_cassette(request.node)
    played = []
    with ExitStack() as stack:

        def insert(scene: Scene) -> str:
            endpoint = stack.enter_context(serve(scene())) if record else f"https://{HOST}/api"
            if not (record or path.is_file()):
                pytest.fail(f"{path.name} was never recorded: run `make record`")
            address = urlsplit(endpoint)
            scrubber = Scrubber((TOKEN,), (address.netloc, address.hostname or ""))
            played.append(stack.enter_context(open_cassette(path, scrubber, record=record)))
            return endpoint

        yield insert
    if not record:
        assert [cassette.all_played for cassette in played] == [True]


@pytest.fixture
def ask(
    play: Callable[[Scene], str], connect: Callable[..., JsonHttpClient]
) -> Callable[..., TowerClient]:
    """Return a function that creates a client for a scenario.

    Its arguments are the scenario, a token and HTTP settings. Waits pass on the fake clock.
    """

    def start(scene: Scene, token: str = TOKEN, **http_settings: float) -> TowerClient:
        return TowerClient(connect(play(scene), token, **http_settings))

    return start
