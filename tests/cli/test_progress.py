"""The progress line of a sync."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.cli.progress import describe_progress, format_duration

if TYPE_CHECKING:
    from tower_etl.extract.session import SyncSession


def _make_session(
    planned: int, fetched: int, *, stopped: bool = False, throttled: float = 0.0
) -> Any:
    """Return a session of 60 seconds, 1,234 calls and ten tasks per run."""
    result = SimpleNamespace(planned=planned, fetched=fetched, tasks=10 * fetched, stopped=stopped)
    stats = SimpleNamespace(calls=1234, throttled_seconds=throttled)
    return SimpleNamespace(sync_result=result, request_stats=stats, seconds=60.0)


@pytest.mark.parametrize(
    ("session", "line"),
    [
        pytest.param(_make_session(0, 0), "Listing: 1,234 calls", id="listing"),
        pytest.param(
            _make_session(200, 0), "0 of 200 runs, 0 tasks, 1,234 calls", id="no run fetched yet"
        ),
        pytest.param(
            _make_session(200, 50),
            "50 of 200 runs, 500 tasks, 1,234 calls, 3 min 0 s left",
            id="fetching",
        ),
        pytest.param(
            _make_session(200, 50, throttled=7.4),
            "50 of 200 runs, 500 tasks, 1,234 calls, throttled 7 s, 3 min 0 s left",
            id="throttled",
        ),
        pytest.param(
            _make_session(200, 200),
            "200 of 200 runs, 2,000 tasks, 1,234 calls, loading the tables",
            id="all runs fetched",
        ),
        pytest.param(
            _make_session(200, 50, stopped=True),
            "Stopping after the requests in progress finish; press Ctrl-C again to stop now.",
            id="stopping",
        ),
    ],
)
def test_the_progress_line(session: SyncSession, line: str) -> None:
    assert line == describe_progress(session)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert text == format_duration(seconds)
