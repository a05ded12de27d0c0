"""Calls of a backfill, compared with the minimum and counted at the server."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform
from tower_etl.config.settings import PackageLimits
from tower_etl.simulator import SimClock, build_world

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = 100
HISTORY = re.compile(r"/workflow(/[^/]+)?(/tasks|/metrics)?$")  # listings, runs, and their parts


@pytest.mark.slow
def test_a_backfill_makes_at_most_one_percent_more_calls_than_needed(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """The minimum is a call per 100 runs and, for each run, two calls and one per 100 tasks."""
    world = build_world(3, clock=SimClock.frozen_at(START), runs=300, open_runs=0, mean_tasks=60)
    platform, warehouse = SimulatedPlatform.start(*swappable_app, world), InMemoryDestination()
    session = platform.open_session()
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()

    runs = Counter(row["workspace_id"] for row in warehouse.tables["workflows"].values())
    tasks = Counter(row["workflow_id"] for row in warehouse.tables["tasks"].values())
    assert (sum(runs.values()), sum(tasks.values()) > 10_000) == (300, True)
    least = sum(ceil(count / PAGE) for count in (*runs.values(), *tasks.values())) + 2 * 300
    calls = sum(bool(HISTORY.search(call.path)) for call in platform.simulator.calls)
    assert least <= calls <= 1.01 * least + len(runs)  # an empty workspace takes a call, too
