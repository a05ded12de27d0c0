"""The Prefect example, run with a Prefect server on loopback."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
import requests

from tests.orchestrators.conftest import LONGEST_SECONDS, ROOT, finish
from tests.orchestrators.history import load_everything, read_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.orchestrators.conftest import Programs

EXAMPLE = ROOT / "pipelines" / "prefect_flow.py"
RUN_ONCE = "import prefect_flow; prefect_flow.tower_sync()"


@pytest.fixture
def prefect(programs: Programs) -> Iterator[Programs]:
    """Start Prefect with a server, without the concurrency limit that the example needs."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/api"
    programs.environ.update(
        PREFECT_HOME=str(programs.folder / "prefect"),
        PREFECT_API_URL=url,
        PYTHONPATH=f"{programs.environ['PYTHONPATH']}:{EXAMPLE.parent}",
    )
    with (programs.folder / "server.log").open("w") as log:
        start = (
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--no-ui",
        )
        server = programs.start(*start, output=log)
        try:
            wait_until(lambda: is_healthy(url))
            yield programs
        finally:
            server.terminate()
            server.wait(LONGEST_SECONDS)


def find_free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_healthy(url: str) -> bool:
    """Return whether a Prefect server responds."""
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition until it holds."""
    end = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


def list_runs(prefect: Programs) -> list[str]:
    """Return the state of each flow run."""
    url = f"{prefect.environ['PREFECT_API_URL']}/flow_runs/filter"
    runs = requests.post(url, json={}, timeout=30).json()
    return [run["state_type"] for run in runs]


def test_concurrent_prefect_runs_sync_one_after_the_other(
    prefect: Programs, endpoint: str, tmp_path: Path
) -> None:
    """A run that found the file locked would fail and retry after a minute."""
    prefect.run("prefect", "gcl", "create", "tower-sync", "--limit", "1")
    both = [prefect.start("python", "-c", RUN_ONCE) for _ in range(2)]
    logs = [finish(run) for run in both]
    assert read_keys(tmp_path / "history.duckdb") == load_everything(endpoint, tmp_path)
    assert [log for log in logs if "retry" in log.lower() or "runs, " not in log] == []
    assert list_runs(prefect) == ["COMPLETED"] * 2


def test_a_served_flow_cancels_a_run_that_is_due_during_a_sync(
    prefect: Programs, endpoint: str, tmp_path: Path
) -> None:
    """Two flow runs are created at the same time; one completes and the other is cancelled."""
    prefect.run("prefect", "gcl", "create", "tower-sync", "--limit", "1")
    server = prefect.start("python", str(EXAMPLE))
    deployments = f"{prefect.environ['PREFECT_API_URL']}/deployments"
    served = f"{deployments}/name/tower-sync/every-15-minutes"
    wait_until(lambda: requests.get(served, timeout=30).ok)
    deployment = requests.get(served, timeout=30).json()
    assert deployment["schedules"][0]["schedule"]["cron"] == "*/15 * * * *"
    for _ in range(2):
        create_run = f"{deployments}/{deployment['id']}/create_flow_run"
        requests.post(create_run, json={}, timeout=30).raise_for_status()
    wait_until(lambda: {"COMPLETED", "CANCELLED"} <= set(list_runs(prefect)))
    server.terminate()
    server.communicate(timeout=LONGEST_SECONDS)
    assert read_keys(tmp_path / "history.duckdb") == load_everything(endpoint, tmp_path)


def test_a_sync_without_the_concurrency_limit_fails(prefect: Programs, tmp_path: Path) -> None:
    """Without the limit, it might run at the same time as another sync."""
    once = "prefect_flow.sync.with_options(retries=0)"
    code = f"import os, prefect_flow; {once}(os.environ['TOWER_HISTORY'])"
    output = finish(prefect.start("python", "-c", code), expected=1)
    assert "tower-sync" in output
    assert not (tmp_path / "history.duckdb").exists()
