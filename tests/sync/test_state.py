"""State of a workspace: encoded as JSON, decoded unchanged, and kept small."""

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
def test_table_coverage_round_trips_as_json(holding: TableCoverage) -> None:
    assert load_coverage(json.loads(json.dumps(dump_coverage(holding)))) == holding


@given(state=STATES)
def test_a_state_round_trips_as_json(state: WorkspaceState) -> None:
    """Its times may be in any time zone."""
    assert load_state(json.loads(json.dumps(dump_state(state)))) == state


@given(state=STATES)
def test_the_times_of_a_state_are_written_in_utc(state: WorkspaceState) -> None:
    """Users read them in `tower-etl status`."""
    dumped = dump_state(state)
    moments = [dumped["cursor"], dumped["floor"], *dumped["seen"].values()]

    assert all(moment.endswith("Z") for moment in moments if moment is not None)


@pytest.mark.parametrize("tables", [["tasks", "workflows"], []])
def test_a_state_of_version_1_is_read(tables: list[str]) -> None:
    """It lists the tables that contain all runs; an empty list stands for all tables."""
    dumped = dump_state(WorkspaceState(cursor=NOON)) | {"tables": tables}
    names = {*(tables or RUN_TABLES), "users"}
    assert load_state(dumped).tables == dict.fromkeys(names, TableCoverage())


@pytest.mark.parametrize("stored", [None, {}])
def test_a_missing_state_is_read_as_an_empty_one(stored: dict[str, object] | None) -> None:
    assert load_state(stored) == WorkspaceState()


@pytest.mark.parametrize("version", [None, 0, STATE_VERSION])
def test_a_state_of_this_or_an_older_version_is_accepted(version: int | None) -> None:
    """None stands for a target without a state."""
    check_version(version)


def test_a_state_of_a_newer_version_is_refused() -> None:
    """Its meaning is unknown. The message names the action."""
    with pytest.raises(ConfigurationError, match=r"newer tower-etl: .*Install that version here"):
        check_version(STATE_VERSION + 1)


def test_the_first_listing_starts_at_the_history_start() -> None:
    """Without a history start, it has no lower bound."""
    assert WorkspaceState().listing_start(NOON) is None
    assert WorkspaceState(history_start=NOON).listing_start(NOON) == NOON


def test_a_listing_starts_a_lookback_window_before_the_cursor() -> None:
    """A run may enter the listing a little after a run that was submitted later."""
    state = WorkspaceState(cursor=NOON, lookback={"r": NOON})

    assert state.listing_start(NOON) == NOON - LOOKBACK_WINDOW


def test_a_listing_never_starts_before_the_history_start() -> None:
    floor = NOON - timedelta(minutes=1)

    assert WorkspaceState(cursor=NOON, history_start=floor).listing_start(NOON) == floor


def test_a_listing_starts_at_the_50th_lookback_run_in_a_busy_hour() -> None:
    """More runs would require a second page."""
    seen = {f"r{age}": NOON - timedelta(seconds=age) for age in range(LOOKBACK_RUNS + 20)}

    start = WorkspaceState(cursor=NOON, lookback=seen).listing_start(NOON)

    assert start == NOON - timedelta(seconds=LOOKBACK_RUNS - 1)


@pytest.mark.parametrize("late", [timedelta(), timedelta(days=3)])
def test_a_listing_starts_before_the_cursor_whatever_its_age(late: timedelta) -> None:
    """A workspace without new runs is listed from its last run on."""
    assert WorkspaceState(cursor=NOON).listing_start(NOON + late) == NOON - LOOKBACK_WINDOW


def test_a_cursor_in_the_future_hides_no_new_run() -> None:
    """The clock of the server was wrong, and runs submitted from now on are before the cursor."""
    state = WorkspaceState(cursor=NOON + timedelta(days=365))

    assert state.listing_start(NOON) == NOON - LOOKBACK_WINDOW


def test_many_runs_from_the_future_do_not_shorten_the_listing() -> None:
    """Otherwise runs that are submitted now would be skipped."""
    seen = {f"r{age}": NOON + timedelta(seconds=age) for age in range(1, LOOKBACK_RUNS + 20)}
    state = WorkspaceState(cursor=max(seen.values()), lookback=seen)

    assert state.listing_start(NOON) == NOON - LOOKBACK_WINDOW
    assert state.listing_start(NOON + timedelta(seconds=20)) == NOON + timedelta(seconds=20)
