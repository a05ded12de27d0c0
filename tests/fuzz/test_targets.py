"""A few fuzz trials of each kind; `make fuzz MINUTES=5` runs as many as time allows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.mutators import load_bodies
from tests.semantics.platform import SwappableApp
from tower_etl.simulator import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tower_etl.simulator import Simulator

SEEDS = st.integers(0, 2**32)
few = partial(settings, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def try_sync() -> Iterator[Callable[[int], None]]:
    """Yield the trial that syncs a platform with corrupted responses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        board = SwappableApp()
        with serve(cast("Simulator", board)) as url:
            yield targets.SyncTrial(url, board)


def test_every_kind_of_response_is_recorded() -> None:
    """Without recorded responses, the trials would test nothing."""
    kinds = {"workflow", "run", "tasks", "metrics", "labels", "user-info", "service-info"}
    assert kinds <= load_bodies().keys()


@given(seed=SEEDS)
@few(max_examples=200)
def test_corrupted_bytes_give_an_object_or_an_api_error(seed: int) -> None:
    targets.try_bytes(seed)


@given(seed=SEEDS)
@few(max_examples=60)
def test_a_walk_over_random_pages_ends(seed: int) -> None:
    """The counts and flags of the pages are random as well."""
    targets.try_walk(seed)


@given(seed=SEEDS)
@few(max_examples=25)
def test_a_corrupted_run_gives_valid_rows_or_a_server_error(seed: int) -> None:
    """Values of recorded runs are replaced, dropped, repeated, wrapped and added."""
    targets.try_tables(seed)


@given(seed=SEEDS)
@few(max_examples=60)
def test_a_corrupted_listing_is_planned_without_losing_a_run(seed: int) -> None:
    targets.try_plan(seed)


@pytest.mark.slow
@given(seed=SEEDS)
@few(max_examples=25)
def test_a_sync_after_one_with_corrupted_responses_has_all_runs(
    seed: int, try_sync: Callable[[int], None]
) -> None:
    try_sync(seed)
