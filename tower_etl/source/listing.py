"""From the listing of a workspace to what planning wants to know of each run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.api import Walked
from tower_etl.sync import Listed
from tower_etl.tables import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.api import Item, TowerClient
    from tower_etl.source.preflight import Workspace
    from tower_etl.sync import Window


@dataclass(frozen=True)
class Listing:
    """The runs of one window.

    Attributes:
        window: What was asked for.
        runs: What came, each once.
        steady: Whether no page moved under the walk.
        counted: Whether the server's own count, if it gave one, agrees.
    """

    window: Window
    runs: tuple[Listed, ...]
    steady: bool
    counted: bool

    @property
    def complete(self) -> bool:
        """Whether a run that it lacks is missing for sure."""
        return self.window.whole and self.steady and self.counted


def list_window(client: TowerClient, workspace: Workspace, window: Window) -> Listing:
    """List the runs of a window; a complete listing that was disturbed is walked once more.

    Raises:
        ApiError: A page could not be had; nothing of the listing is used then.
    """
    listing = _walk(client, workspace, window)
    if window.whole and not listing.complete:
        return _walk(client, workspace, window)
    return listing


def _walk(client: TowerClient, workspace: Workspace, window: Window) -> Listing:
    walked = Walked()
    pages = client.iter_runs(workspace.id, walked, window.after, window.before)
    runs = tuple(to_listed(element) for page in pages for element in page)
    return Listing(window, runs, steady=not walked.disturbed, counted=walked.is_counted)


def to_listed(element: Item) -> Listed:
    """What planning wants to know of an element of `GET /workflow`."""
    run = element["workflow"]
    labels, starred = element.get("labels"), element.get("starred")
    return Listed(
        run_id=run["id"],
        submit=parse_timestamp(run.get("submit")) or parse_timestamp(run.get("dateCreated")),
        status=sound_status(run),
        last_updated=parse_timestamp(run.get("lastUpdated")),
        complete=parse_timestamp(run.get("complete")),
        starred=starred if isinstance(starred, bool) else None,
        labels=None if labels is None else tuple(sound_labels(labels)),
    )


def sound_status(run: Mapping[str, Any]) -> str | None:
    """The status of a run, None where it is no text."""
    status = run.get("status")
    return status if isinstance(status, str) else None


def sound_labels(labels: object) -> list[Mapping[str, Any]]:
    """The labels of an answer that are labels: objects with an id."""
    if not isinstance(labels, list):
        return []
    return [x for x in labels if isinstance(x, dict) and isinstance(x.get("id"), int)]
