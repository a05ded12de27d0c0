"""From the listing of a workspace to what planning wants to know of each run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.api import (
    Finding,
    PaginationStats,
    count_keyed,
    malformed_runs_response,
    parse_id,
    run_key,
    split_keyed,
)
from tower_etl.errors import BadRequestError
from tower_etl.sync import ListedRun, ListingWindow, contains
from tower_etl.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tower_etl.api import Item, TowerClient
    from tower_etl.extract.discovery import Workspace


_LEFT_OUT = "{} element(s) of the run listing without a usable run id were left out"
_REPEATED = "{} run(s) that are listed more than once"
_SLACK = timedelta(minutes=1)  # by which a bound may be missed, as times are rounded here and there


@dataclass(frozen=True)
class RunListing:
    """The runs of one window.

    Attributes:
        window: What was asked for.
        runs: What came, each once.
        steady: Whether no page moved under the walk.
        counted: Whether the server's own count, if it gave one, agrees.
        left_out: Elements that name no run.
        repeated: Runs that are listed more than once.
    """

    window: ListingWindow
    runs: tuple[ListedRun, ...]
    is_unmodified: bool
    count_matches: bool
    skipped: int = 0
    repeated: int = 0

    @property
    def complete(self) -> bool:
        """Whether a run that it lacks is missing for sure."""
        return (
            self.window.is_full and self.is_unmodified and self.count_matches and not self.skipped
        )


def list_runs(client: TowerClient, workspace: Workspace, window: ListingWindow) -> RunListing:
    """List the runs of a window; a complete listing that was disturbed is walked once more.

    Raises:
        ApiError: A page could not be had; nothing of the listing is used then.
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
    """Whether the listing of a workspace shows a run.

    Args:
        client: Asks the platform.
        workspace: Where the run was.
        run_id: The run.
        submit: When it was submitted (UTC), so that the listing need not be walked to its end.
    """
    if client.compatibility.searches is not False:
        return client.is_listed(workspace.id, run_id)
    window = ListingWindow(submit, None, is_full=False)  # a search would find no run at all
    return any(run.run_id == run_id for run in _walk(client, workspace, window).runs)


def _list(client: TowerClient, workspace: Workspace, window: ListingWindow) -> RunListing:
    """List the runs of a window by search or, if the server does not understand that, without.

    A server that takes the bounds for words to look for finds nothing (API fact 4): that it does
    not show runs that it showed before is evidence.
    """
    if client.compatibility.searches is False or (window.after, window.before) == (None, None):
        return _walk(client, workspace, window)
    try:
        listing = _walk(client, workspace, window, searched=True)
    except BadRequestError:
        plain = _walk(client, workspace, window)
        client.compatibility.learn_search(works=False)
        return plain
    found = {run.run_id for run in listing.runs}
    if not (window.known & found if window.known else found or client.compatibility.searches):
        return _list_again(client, workspace, window) or listing
    return listing


def _list_again(
    client: TowerClient, workspace: Workspace, window: ListingWindow
) -> RunListing | None:
    """List without search, after a search that should have found something; None if none does."""
    plain = _walk(client, workspace, window)
    found = {run.run_id for run in plain.runs if run.submit}
    if not found:
        return None
    if not window.known or window.known & found:
        client.compatibility.learn_search(works=False)
    return plain


def _walk(
    client: TowerClient, workspace: Workspace, window: ListingWindow, *, searched: bool = False
) -> RunListing:
    """Walk the listing from its newest run down to the start of the window.

    Raises:
        ServerError: No element names a run.
    """
    walked, runs, left_out = PaginationStats(), list[ListedRun](), 0
    bounds = (window.after, window.before) if searched else (None, None)
    pages = client.list_runs(workspace.id, walked, *bounds)
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
        raise malformed_runs_response()
    inside = [run for run in runs if run.submit is None or contains(window, run.submit)]
    if searched and runs:
        client.compatibility.learn_search(works=not any(_is_outside(run, window) for run in runs))
    counted = is_past or walked.count_matches
    repeated = count_keyed(walked.repeated)
    return RunListing(window, tuple(inside), not walked.was_modified, counted, left_out, repeated)


def _is_before(run: ListedRun, window: ListingWindow) -> bool:
    """Whether a run, and all that follow it in a listing, is older than the window."""
    return bool(window.after and run.submit and run.submit < window.after - _SLACK)


def _is_outside(run: ListedRun, window: ListingWindow) -> bool:
    is_after = bool(window.before and run.submit and run.submit > window.before + _SLACK)
    return is_after or _is_before(run, window)


def parse_listed_run(element: Item) -> ListedRun:
    """What planning wants to know of an element of `GET /workflow`."""
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
    """The status of a run, None where it is no text."""
    status = run.get("status")
    return status if isinstance(status, str) else None


def valid_labels(labels: object) -> list[Mapping[str, Any]]:
    """The labels of an answer that are labels: objects with an id."""
    if not isinstance(labels, list):
        return []
    objects = [label for label in labels if isinstance(label, dict)]
    ids = [parse_id(label.get("id")) for label in objects]
    return [{**label, "id": n} for label, n in zip(objects, ids, strict=True) if n is not None]
