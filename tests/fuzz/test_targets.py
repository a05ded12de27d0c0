"""A few of the trials; `make fuzz MINUTES=5` makes as many as there is time for."""

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
    """Syncs of a platform that goes mad."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        board = SwappableApp()
        with serve(cast("Simulator", board)) as url:
            yield targets.SyncTrial(url, board)


def test_there_is_a_recorded_answer_of_every_kind_to_spoil() -> None:
    """Or the trials would be of nothing."""
    kinds = {"workflow", "run", "tasks", "metrics", "labels", "user-info", "service-info"}
    assert kinds <= load_bodies().keys()


@given(seed=SEEDS)
@few(max_examples=200)
def test_any_bytes_are_an_object_or_an_error(seed: int) -> None:
    """Recorded answers with bytes changed, cut and repeated."""
    targets.try_bytes(seed)


@given(seed=SEEDS)
@few(max_examples=60)
def test_any_walk_ends(seed: int) -> None:
    """Pages by chance, with counts and flags by chance."""
    targets.try_walk(seed)


@given(seed=SEEDS)
@few(max_examples=25)
def test_any_run_is_rows_or_a_fault(seed: int) -> None:
    """Recorded runs with values replaced, dropped, repeated, wrapped and added."""
    targets.try_tables(seed)


@given(seed=SEEDS)
@few(max_examples=60)
def test_any_listing_is_planned(seed: int) -> None:
    """Recorded listings, corrupted likewise; nothing listed is left out."""
    targets.try_plan(seed)


@pytest.mark.slow
@given(seed=SEEDS)
@few(max_examples=25)
def test_any_sync_ends_and_the_next_one_heals(seed: int, try_sync: Callable[[int], None]) -> None:
    """A platform that answers madly, and then soundly again."""
    try_sync(seed)
