"""A server of 2021 that sends neither totals nor newer fields, from recorded responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cassettes import scenarios
from tower_etl.api import PaginationStats
from tower_etl.extract.discovery import Workspace, discover
from tower_etl.extract.runs import fetch_run
from tower_etl.schema import TABLES
from tower_etl.sync import RunFetch
from tower_etl.transform import build_run_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import TowerClient
    from tower_etl.simulator import Simulator

    Ask = Callable[..., TowerClient]


def serve_older() -> Simulator:
    """Serve the small account as an older server does."""
    return scenarios.serve_small_account(legacy=True)


def test_a_listing_without_totals_is_complete(ask: Ask) -> None:
    """A short page ends the page walk, and the count is taken to match without a total."""
    walked = PaginationStats()
    (page,) = ask(serve_older).iter_run_pages(scenarios.RESEARCH, walked)
    assert [run["workflow"]["id"] for run in page] == [scenarios.OPEN, scenarios.FINAL]
    assert (walked.reported_totals, walked.count_matches, walked.was_modified) == ([], True, False)
    assert "labels" not in page[0]


def test_workspaces_without_newer_fields_are_found(ask: Ask) -> None:
    """Discovery needs neither the organization's type nor the user's roles."""
    discovery = discover(ask(serve_older), ("beta/lab",))
    (space,) = discovery.workspaces
    assert space.id == scenarios.LAB
    assert "roles" not in space.membership


def test_exit_codes_as_text_stay_text(ask: Ask) -> None:
    """Columns are null for fields that the older server does not know."""
    workspace = Workspace(scenarios.RESEARCH, "acme/research", {})
    run_fetch = RunFetch(scenarios.FINAL, None, starred=None)
    fetched = fetch_run(ask(serve_older), workspace, run_fetch, frozenset(TABLES))
    assert fetched is not None
    tables = build_run_tables([fetched.responses])
    tasks = tables["tasks"]
    assert tasks["exit"].to_pylist() == ["0", "1", "0"]
    assert tasks["num_spot_interruptions"].to_pylist() == [None] * 3
    (load,) = tables["workflow_progress"].to_pylist()
    assert tuple(load[name] for name in ("succeeded", "failed", "aborted", "net_cost")) == (
        2,
        1,
        None,
        None,
    )
    assert tables["workflow_labels"].num_rows == 0
