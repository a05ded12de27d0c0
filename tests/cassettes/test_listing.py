"""Listings of runs and labels, from recorded responses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.cassettes import scenarios
from tower_etl.api import PaginationStats, PathScope, endpoints
from tower_etl.errors import BadRequestError, ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import TowerClient

    Ask = Callable[..., TowerClient]


def test_a_listing_of_two_pages_has_each_run_once(ask: Ask) -> None:
    """Each of the 103 runs is listed once, newest first.

    The second page starts with a run of the first one, which shows that the list did not move.
    """
    walked = PaginationStats()
    pages = list(ask(scenarios.serve_many_runs).iter_run_pages(scenarios.RESEARCH, walked))
    expected = [f"run{number:03d}" for number in reversed(range(103))]
    assert expected == [run["workflow"]["id"] for page in pages for run in page]
    assert [len(page) for page in pages] == [100, 3]
    assert (walked.reported_totals, walked.count_matches, walked.was_modified) == (
        [103, 103],
        True,
        False,
    )


def test_a_listing_window_includes_both_bounds(ask: Ask) -> None:
    """Both bounds of the listing window are inclusive."""
    walked = PaginationStats()
    after = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    before = datetime(2026, 3, 1, 8, 2, tzinfo=UTC)
    (page,) = ask(scenarios.serve_many_runs).iter_run_pages(
        scenarios.RESEARCH, walked, after, before
    )
    assert [run["workflow"]["id"] for run in page] == ["run002", "run001", "run000"]
    assert (walked.reported_totals, walked.count_matches) == ([3], True)


def test_a_listing_has_the_stars_and_labels_of_runs(ask: Ask) -> None:
    """The listing has status, star and labels of each run."""
    (page,) = ask(scenarios.serve_small_account).iter_run_pages(
        scenarios.RESEARCH, PaginationStats()
    )
    expected = [
        (scenarios.OPEN, "RUNNING", False, [scenarios.TEAM]),
        (scenarios.FINAL, "SUCCEEDED", True, [scenarios.TEAM, scenarios.URGENT]),
    ]
    assert expected == [
        (
            run["workflow"]["id"],
            run["workflow"]["status"],
            run["starred"],
            [label["id"] for label in run["labels"]],
        )
        for run in page
    ]


def test_a_listing_without_a_workspace_id_shows_the_personal_workspace(ask: Ask) -> None:
    """The call has no `workspaceId`. The listed run is submitted but not started."""
    (page,) = ask(scenarios.serve_small_account).iter_run_pages(None, PaginationStats())
    assert [
        (run["workflow"]["id"], run["workflow"]["status"], run["workflow"]["start"]) for run in page
    ] == [(scenarios.PERSONAL, "SUBMITTED", None)]


def test_labels_have_names_and_values(ask: Ask) -> None:
    """A resource label has a value; a plain label has none."""
    client = ask(scenarios.serve_small_account)
    labels = client.list_entity(endpoints.LABELS, PathScope(scenarios.RESEARCH)).items
    assert [
        (label["id"], label["name"], label["value"], label["resource"]) for label in labels
    ] == [(scenarios.TEAM, "team", "genomics", True), (scenarios.URGENT, "urgent", None, False)]


def test_a_listing_of_a_forbidden_workspace_raises_forbidden_error(ask: Ask) -> None:
    """The server sends 403 although the token is valid for another workspace."""
    client = ask(scenarios.serve_refusing_workspace)
    with pytest.raises(ForbiddenError, match="Operation not allowed") as caught:
        list(client.iter_run_pages(scenarios.LAB, PaginationStats()))
    assert (caught.value.status_code, caught.value.exit_code) == (403, 4)
    assert len(list(client.iter_run_pages(scenarios.RESEARCH, PaginationStats()))) == 1


def test_a_page_size_above_the_limit_is_a_bad_request(ask: Ask) -> None:
    """The server rejects a `max` above 100 with 400 (API fact 1), which is not retried."""
    client = ask(scenarios.serve_small_account)
    with pytest.raises(BadRequestError, match="between 1 and 100") as caught:
        client.http.get("/workflow", {"workspaceId": scenarios.RESEARCH, "max": 101})
    assert caught.value.status_code == 400
    assert client.http.metrics.snapshot().calls == 1


def test_a_run_is_found_in_its_workspace_by_a_search_for_its_id(ask: Ask) -> None:
    """A listing searched for the id shows the run in its own workspace only."""
    client = ask(scenarios.serve_small_account)
    places = (scenarios.RESEARCH, scenarios.LAB, None)
    assert [client.search_run(place, scenarios.OPEN) for place in places] == [True, False, False]
    assert client.search_run(None, scenarios.PERSONAL)
    assert client.http.metrics.snapshot().calls == 4
