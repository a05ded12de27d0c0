"""The slow entities: organisations, workspaces and labels, asked for seldom."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tower_etl.errors import ForbiddenError, NotFoundError
from tower_etl.tables import label_batch, organization_batch, workspace_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from tower_etl.api import Item, TowerClient
    from tower_etl.source.preflight import Reach, Workspace


def fetch_places(
    client: TowerClient, reach: Reach, wanted: frozenset[str], warn: Callable[[str], None]
) -> dict[str, pa.Table]:
    """Organisations, and the workspaces of each.

    Args:
        client: Asks the platform.
        reach: What preflight found; its list of roles is used, not asked for again.
        wanted: Tables to pay calls for.
        warn: Told what the token may not read.
    """
    tables: dict[str, pa.Table] = {}
    if "organizations" in wanted:
        found = _allowed(client.list_organizations, "organizations", warn)
        tables["organizations"] = organization_batch(found)
    if "workspaces" in wanted:
        described = [
            space
            for org_id in sorted({space.role["orgId"] for space in reach.workspaces if space.role})
            for space in _allowed(
                partial(client.list_org_workspaces, org_id), f"workspaces of {org_id}", warn
            )
        ]
        chosen = {space.id for space in reach.workspaces}
        tables["workspaces"] = workspace_batch(
            [space.role for space in reach.workspaces if space.role],
            [space for space in described if space.get("id") in chosen],
        )
    return tables


def fetch_labels(
    client: TowerClient, workspace: Workspace, warn: Callable[[str], None]
) -> dict[str, pa.Table]:
    """Labels of one workspace."""
    found = _allowed(lambda: client.list_labels(workspace.id), f"labels of {workspace.name}", warn)
    return {"labels": label_batch(found, workspace_id=workspace.id)}


def _allowed(
    fetch: Callable[[], Iterable[Item]], what: str, warn: Callable[[str], None]
) -> list[Item]:
    """What is fetched, or nothing, with a word on it, where the token may not read it."""
    try:
        return list(fetch())
    except (ForbiddenError, NotFoundError) as error:
        warn(f"The token may not read {what}; the rows loaded before stay as they are ({error})")
        return []
