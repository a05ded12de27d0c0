"""Tasks of a run, as the tests of the API client read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.api import task_key

if TYPE_CHECKING:
    from tower_etl.api import Item, TowerClient


def list_tasks(client: TowerClient, workspace_id: int | None, run_id: str) -> list[Item]:
    """Return the tasks of a run by ascending `taskId`, each once."""
    pages: list[list[Item]] = client.list_tasks_into(workspace_id, run_id, list)
    return list({task_key(task): task for page in pages for task in page}.values())
