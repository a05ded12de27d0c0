"""The run history with a plain script: one loop, no state, all tables created again.

Usage: plain.py FILE. Endpoint, token and workspace are those of `TOWER_API_ENDPOINT`,
`TOWER_ACCESS_TOKEN` and `TOWER_WORKSPACE_ID`.
"""

from __future__ import annotations

import os
import sys
import time
from http import HTTPStatus
from typing import Any

import duckdb
import pandas as pd
import requests

_PAGE = 100
_TIMEOUT_S = 60


class Tower:
    """Client of the platform."""

    def __init__(self) -> None:
        self._endpoint = os.environ["TOWER_API_ENDPOINT"]
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {os.environ['TOWER_ACCESS_TOKEN']}"

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """Return a response; calls that are refused with 429 are retried."""
        params["workspaceId"] = os.environ["TOWER_WORKSPACE_ID"]
        while True:
            answer = self._session.get(self._endpoint + path, params=params, timeout=_TIMEOUT_S)
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                break
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def walk(self, path: str, name: str) -> list[dict[str, Any]]:
        """Return all items of a paged list."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.get(path, offset=len(rows), max=_PAGE)[name]
            rows += page
            if len(page) < _PAGE:
                return rows


def main() -> None:
    """Fetch everything, and create every table again."""
    tower = Tower()
    workflows, tasks, metrics, progress = [], [], [], []
    for listed in tower.walk("/workflow", "workflows"):
        run_id = listed["workflow"]["id"]
        described = tower.get(f"/workflow/{run_id}", attributes="labels")
        workflows.append(described["workflow"])
        progress.append({"workflowId": run_id, **described["progress"]["workflowProgress"]})
        listed_tasks = tower.walk(f"/workflow/{run_id}/tasks", "tasks")
        tasks += [{"workflowId": run_id, **element["task"]} for element in listed_tasks]
        of_run = tower.get(f"/workflow/{run_id}/metrics")["metrics"]
        metrics += [{"workflowId": run_id, **metric} for metric in of_run]
    found = {"workflows": workflows, "tasks": tasks, "metrics": metrics, "progress": progress}
    with duckdb.connect(sys.argv[1]) as connection:
        for name, rows in found.items():
            frame = pd.json_normalize(rows, sep="_")
            connection.register("frame", frame)
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM frame")


if __name__ == "__main__":
    main()
