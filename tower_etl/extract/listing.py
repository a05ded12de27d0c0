"""Listing of the runs of a workspace, reduced to the fields that planning uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.api import (
    Finding,
    PaginationStats,
    endpoints,
    malformed_response,
    run_key,
    split_keyed,
)
from tower_etl.errors import BadRequestError
from tower_etl.lossless import parse_integer
from tower_etl.sync import ListedRun, ListingWindow
from tower_etl.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tower_etl.api import Item, TowerClient
    from tower_etl.extract.discovery import Workspace


_LEFT_OUT = "{} element(s) of the run listing without a usable run id were left out"
_REPEATED = "{} run(s) that are listed more than once"
_SLACK = timedelta(minutes=1)  # tolerance of a bound, because servers round times


@dataclass(frozen=True)
class RunListing:
    """Runs of one window.

    Attributes:
        window: Requested window.
        runs: Runs in the window, without duplicates.
        is_unmodified: Whether the list did not change while its pages were read.
        count_matches: Whether the count of the server, if any, equals the number of runs.
        skipped: Number of elements without a valid run id.
        repeated: Number of runs that are listed more than once.
    """

    window: ListingWindow
    runs: tuple[ListedRun, ...]
    is_unmodified: bool
    count_matches: bool
    skipped: int = 0
    repeated: int = 0

    @property
    def complete(self) -> bool:
        """Whether runs that are not in the listing are certainly deleted."""
        return (
            self.window.is_full and self.is_unmodified and self.count_matches and not self.skipped
        )


def list_runs(client: TowerClient, workspace: Workspace, window: ListingWindow) -> RunListing:
    """List the runs of a window; repeat a full listing once if the list changed meanwhile.

    Raises:
        ApiError: A page could not be read; the listing is then discarded.
    """
    listing = _list(client, workspace, window)
    if window.is_full and not (listing.is_unmodified and listing.count_matches):
        listing = _list(client, workspace, window)
    if listing.skipped:
        finding = Finding(workspace.name, _LEFT_OUT, "No run was marked as missing.")
        client.findings.add(finding, count=listing.skipped)
    if listing.repeated:
        finding = Finding(workspace.name, _REPEATED, "Each is stored once.")
        client.findings.add(finding, count=listing.repeated)
    return listing


def is_listed(
    client: TowerClient, workspace: Workspace, run_id: str, submit: datetime | None
) -> bool:
    """Return whether the listing of a workspace contains a run.

    Args:
        client: Client of the platform.
        workspace: Workspace of the run.
        run_id: Id of the run.
        submit: Submission of the run (UTC), at which pagination may stop.
    """
    if client.compatibility.can_search is not False:
        return client.search_run(workspace.id, run_id)
    window = ListingWindow(submit, None, is_full=False)  # the server does not support searches
    return any(run.run_id == run_id for run in _read_pages(client, workspace, window).runs)


def _list(client: TowerClient, workspace: Workspace, window: ListingWindow) -> RunListing:
    """List the runs of a window by search, or without if the server does not support it.

    A server that treats the bounds as search words finds nothing (API fact 4). The absence of runs
    that were listed before is evidence of that.
    """
    if client.compatibility.can_search is False or (window.after, window.before) == (None, None):
        return _read_pages(client, workspace, window)
    try:
        listing = _read_pages(client, workspace, window, searched=True)
    except BadRequestError:
        plain = _read_pages(client, workspace, window)
        client.compatibility.learn_search(works=False)
        return plain
    run_ids, expected = {run.run_id for run in listing.runs}, window.expected_run_ids
    if not (expected & run_ids if expected else run_ids or client.compatibility.can_search):
        return _list_again(client, workspace, window) or listing
    return listing


def _list_again(
    client: TowerClient, workspace: Workspace, window: ListingWindow
) -> RunListing | None:
    """List without search after an unexpectedly empty search; None if that is empty too."""
    plain = _read_pages(client, workspace, window)
    run_ids = {run.run_id for run in plain.runs if run.submit}
    if not run_ids:
        return None
    if not window.expected_run_ids or window.expected_run_ids & run_ids:
        client.compatibility.learn_search(works=False)
    return plain


def _read_pages(
    client: TowerClient, workspace: Workspace, window: ListingWindow, *, searched: bool = False
) -> RunListing:
    """Read pages from the newest run to the start of the window.

    Raises:
        ServerError: No element has a valid run id.
    """
    stats, runs, left_out = PaginationStats(), list[ListedRun](), 0
    bounds = (window.after, window.before) if searched else (None, None)
    pages = client.iter_run_pages(workspace.id, stats, *bounds)
    is_past = False
    for page in pages:
        named, unnamed = split_keyed(page, run_key)
        listed = [parse_listed_run(element) for element in named]
        runs += listed
        left_out += unnamed
        is_past = bool(listed) and _is_before(listed[-1], window)
        if is_past:
            break
    if left_out and not runs:
        raise malformed_response(endpoints.RUNS, "text as workflow.id in any element")
    in_window = [run for run in runs if run.submit is None or window.contains(run.submit)]
    if searched and runs:
        client.compatibility.learn_search(works=not any(_is_outside(run, window) for run in runs))
    count_matches = is_past or stats.count_matches
    repeated = len(stats.repeated)
    unmodified = not stats.was_modified
    return RunListing(window, tuple(in_window), unmodified, count_matches, left_out, repeated)


def _is_before(run: ListedRun, window: ListingWindow) -> bool:
    """Return whether a run, and thus all later ones in the listing, precedes the window."""
    return bool(window.after and run.submit and run.submit < window.after - _SLACK)


def _is_outside(run: ListedRun, window: ListingWindow) -> bool:
    is_after = bool(window.before and run.submit and run.submit > window.before + _SLACK)
    return is_after or _is_before(run, window)


def parse_listed_run(element: Item) -> ListedRun:
    """Return the fields of an element of `GET /workflow` that planning uses."""
    run = element["workflow"]
    labels, starred = element.get("labels"), element.get("starred")
    return ListedRun(
        run_id=run["id"],
        submit=parse_timestamp(run.get("submit")) or parse_timestamp(run.get("dateCreated")),
        status=valid_status(run),
        last_updated=parse_timestamp(run.get("lastUpdated")),
        complete=parse_timestamp(run.get("complete")),
        starred=starred if isinstance(starred, bool) else None,
        labels=None if labels is None else tuple(valid_labels(labels)),
    )


def valid_status(run: Mapping[str, Any]) -> str | None:
    """Return the status of a run, None if it is not text."""
    status = run.get("status")
    return status if isinstance(status, str) else None


def valid_labels(labels: object) -> list[Mapping[str, Any]]:
    """Return the valid labels of a response: objects with an id."""
    if not isinstance(labels, list):
        return []
    objects = [label for label in labels if isinstance(label, dict)]
    ids = [parse_integer(label.get("id")) for label in objects]
    return [{**label, "id": n} for label, n in zip(objects, ids, strict=True) if n is not None]
