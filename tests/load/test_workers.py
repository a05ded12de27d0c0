"""The number of worker threads adapts to the response time of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.load.warehouse import Warehouse
from tower_etl.clock import Clock
from tower_etl.config.settings import HttpSettings
from tower_etl.simulator import Simulator, build_world, serve

if TYPE_CHECKING:
    from tower_etl.destinations.duckdb_files import DuckDBPaths

LATENCY_S = 0.7


@pytest.mark.parametrize(
    ("seconds", "calls_per_second", "workers"),
    [(0.0, 20, 8), (0.25, 20, 8), (0.5, 20, 15), (3.0, 20, 32), (3.0, 2, 9), (0.5, None, 15)],
)
def test_the_number_of_workers_grows_with_the_response_time(
    seconds: float, calls_per_second: float | None, workers: int
) -> None:
    """It is between 8 and 32; a configured number takes precedence."""
    assert HttpSettings(calls_per_second).choose_workers(seconds) == workers
    assert HttpSettings(calls_per_second, workers=3).choose_workers(seconds) == 3
    half = HttpSettings(calls_per_second, rate_limit_share=0.5).choose_workers(seconds)
    assert half <= workers


def test_a_slow_server_gets_more_than_eight_concurrent_calls(
    target: DuckDBPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight threads could send only eight calls within one response time."""
    monkeypatch.setenv("NO_PROXY", "*")
    world = build_world(3, runs=24, open_runs=0, mean_tasks=2)
    simulator = Simulator(world, limit=None, latency_s=LATENCY_S)
    with serve(simulator) as endpoint:
        report = Warehouse(target, endpoint, Clock()).sync(tables=frozenset({"workflows"}))
    assert report.result.fetched == 24
    times = sorted(call.arrived_s for call in simulator.calls)
    most = max(sum(0 <= at - first < 0.9 * LATENCY_S for at in times) for first in times)
    assert most > 8
