"""What is remembered of a workspace: written as JSON, read back as it was, and kept small."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.errors import ConfigurationError
from tower_etl.sync import (
    STATE_VERSION,
    OpenRun,
    TableCoverage,
    TaskBookmark,
    WorkspaceState,
    check_version,
    dump_coverage,
    dump_state,
    load_coverage,
    load_state,
)
from tower_etl.sync.state import LOOKBACK_RUNS, LOOKBACK_WINDOW, RUN_TABLES

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 - the zone comes with `timezones`
IDS = st.text(min_size=1, max_size=14)
SETTLED = st.builds(TaskBookmark, st.integers(0), st.none() | st.integers(1))
OPEN_RUNS = st.builds(OpenRun, st.none() | MOMENTS, st.none() | st.booleans(), SETTLED)
STATES = st.builds(
    WorkspaceState,
    cursor=st.none() | MOMENTS,
    history_start=st.none() | MOMENTS,
    lookback=st.dictionaries(IDS, MOMENTS, max_size=5),
    open=st.dictionaries(IDS, OPEN_RUNS, max_size=5),
    reconciled_at=st.none() | MOMENTS,
)
HOLDINGS = st.builds(
    TableCoverage, st.booleans(), st.none() | MOMENTS, st.frozensets(IDS, max_size=3), st.booleans()
)


@given(holding=HOLDINGS)
def test_what_a_table_holds_comes_back_from_json_as_it_was(holding: TableCoverage) -> None:
    assert load_coverage(json.loads(json.dumps(dump_coverage(holding)))) == holding


@given(state=STATES)
def test_a_state_comes_back_from_json_as_it_was(state: WorkspaceState) -> None:
    """Times in any zone included."""
    assert load_state(json.loads(json.dumps(dump_state(state)))) == state


@given(state=STATES)
def test_a_state_is_written_in_utc(state: WorkspaceState) -> None:
    """People read it in `tower-etl status`."""
    dumped = dump_state(state)
    moments = [dumped["cursor"], dumped["floor"], *dumped["seen"].values()]

    assert all(moment.endswith("Z") for moment in moments if moment is not None)


@pytest.mark.parametrize("tables", [["tasks", "workflows"], []])
def test_a_state_of_version_1_is_read(tables: list[str]) -> None:
    """It names the tables that hold all runs; without names, all tables do."""
    dumped = dump_state(WorkspaceState(cursor=NOON)) | {"tables": tables}
    names = {*(tables or RUN_TABLES), "users"}
    assert load_state(dumped).tables == dict.fromkeys(names, TableCoverage())


@pytest.mark.parametrize("stored", [None, {}])
def test_without_a_state_everything_is_new(stored: dict[str, object] | None) -> None:
    """A workspace that was never synced."""
    assert load_state(stored) == WorkspaceState()


@pytest.mark.parametrize("version", [None, 0, STATE_VERSION])
def test_a_state_of_this_version_or_an_older_one_is_taken(version: int | None) -> None:
    """None is a target without a state."""
    check_version(version)


def test_a_state_of_a_newer_version_is_refused() -> None:
    """What it means is not known here; the message says what to do."""
    with pytest.raises(ConfigurationError, match=r"newer tower-etl: .*Install that version here"):
        check_version(STATE_VERSION + 1)


def test_the_first_listing_starts_at_the_floor() -> None:
    """Or at the beginning."""
    assert WorkspaceState().listing_start(NOON) is None
    assert WorkspaceState(history_start=NOON).listing_start(NOON) == NOON


def test_a_listing_starts_an_overlap_before_the_cursor() -> None:
    """A run may enter the listing a little after one that was submitted later."""
    state = WorkspaceState(cursor=NOON, lookback={"r": NOON})

    assert state.listing_start(NOON) == NOON - LOOKBACK_WINDOW


def test_a_listing_starts_at_the_floor_at_the_earliest() -> None:
    """Runs before it stay out."""
    floor = NOON - timedelta(minutes=1)

    assert WorkspaceState(cursor=NOON, history_start=floor).listing_start(NOON) == floor


def test_a_listing_in_a_busy_hour_needs_no_second_page() -> None:
    """It starts at the fiftieth run before its end, inclusive."""
    seen = {f"r{age}": NOON - timedelta(seconds=age) for age in range(LOOKBACK_RUNS + 20)}

    start = WorkspaceState(cursor=NOON, lookback=seen).listing_start(NOON)

    assert start == NOON - timedelta(seconds=LOOKBACK_RUNS - 1)


@pytest.mark.parametrize("late", [timedelta(), timedelta(days=3)])
def test_a_listing_starts_before_the_cursor_whatever_the_time_is(late: timedelta) -> None:
    """A workspace in which nothing happens is listed from its last run on."""
    assert WorkspaceState(cursor=NOON).listing_start(NOON + late) == NOON - LOOKBACK_WINDOW


def test_a_cursor_in_the_future_hides_nothing() -> None:
    """The clock of the server was wrong: runs submitted from now on are before the cursor."""
    state = WorkspaceState(cursor=NOON + timedelta(days=365))

    assert state.listing_start(NOON) == NOON - LOOKBACK_WINDOW


def test_many_runs_of_the_future_do_not_shorten_the_listing() -> None:
    """Those of now would be skipped."""
    seen = {f"r{age}": NOON + timedelta(seconds=age) for age in range(1, LOOKBACK_RUNS + 20)}
    state = WorkspaceState(cursor=max(seen.values()), lookback=seen)

    assert state.listing_start(NOON) == NOON - LOOKBACK_WINDOW
    assert state.listing_start(NOON + timedelta(seconds=20)) == NOON + timedelta(seconds=20)
