"""Log lines on standard error: their levels, and data that they must not contain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.here import open_stream
from tower_etl.cli import progress
from tower_etl.simulator import DEMO_TOKEN, Fault, Simulator, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.console import Console
    from tests.cli.here import Run
    from tower_etl.simulator import World

REQUEST = re.compile(
    r"DEBUG tower_etl\.http\.client: GET (\S+): (\d+ in \d+ ms|failed \(\w+\)) "
    r"\(attempt (\d+), \d+\.\d{3} s of it waiting for the rate limiter\)"
)


@pytest.fixture
def simulator(world: World, lab: int) -> Simulator:
    """Return a platform with one final run."""
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    world.finish_run(run_id)
    return Simulator(world, limit=None)


@pytest.fixture
def endpoint(simulator: Simulator) -> Iterator[str]:
    """Serve the platform and yield its address."""
    with serve(simulator) as address:
        yield address


@pytest.fixture
def log(
    console: Console, run_here: Callable[[Console], Run], endpoint: str
) -> Callable[..., list[str]]:
    """Return a function that runs a sync with global options and returns the lines of stderr."""

    def run(*options: str) -> list[str]:
        ended = run_here(console)(
            *options, "sync", "--endpoint", endpoint, "--rate", "none", out=open_stream("utf-8")
        )
        assert ended.code == 0, ended.err
        assert DEMO_TOKEN not in ended.err
        assert "Authorization" not in ended.err
        assert "Bearer" not in ended.err
        return ended.err.splitlines()

    return run


@pytest.mark.slow
def test_a_sync_logs_nothing_by_default(log: Callable[..., list[str]]) -> None:
    assert not [line for line in log() if " tower_etl." in line]


@pytest.mark.slow
def test_info_logs_a_line_per_workspace_and_load_package(
    log: Callable[..., list[str]],
) -> None:
    lines = [line for line in log("--log-level", "info") if " tower_etl." in line]
    assert any(
        re.search(r"INFO .*: acme/lab: 1 runs listed since .*, 1 to fetch", x) for x in lines
    )
    assert any("Load package 1 committed: 1 of 1 runs fetched so far" in line for line in lines)
    assert any("INFO tower_etl.destinations.staging_file: Published" in line for line in lines)
    assert not any("DEBUG" in line for line in lines)


@pytest.mark.slow
def test_debug_logs_a_line_per_call(log: Callable[..., list[str]], simulator: Simulator) -> None:
    """A retry is a call with a line that has its attempt number."""
    simulator.faults.add("/workflow", Fault("status", status=503, times=1))
    requests = [match for line in log("--log-level", "DEBUG") if (match := REQUEST.search(line))]
    assert len(requests) == len(simulator.calls)
    assert {"1", "2"} == {match[3] for match in requests}
    paths = {match[1] for match in requests}
    assert "/user/{id}/workspaces" in paths
    assert not any(re.search(r"/user/\d", path) for path in paths)


@pytest.mark.slow
def test_a_retry_is_logged_without_the_user_id(
    log: Callable[..., list[str]], simulator: Simulator
) -> None:
    simulator.faults.add("/user/", Fault("status", status=503, times=1))
    lines = log("--log-level", "info")
    assert any("Retry 1 of GET /user/{id}/workspaces" in line for line in lines), lines
    assert not any(re.search(r"/user/\d", line) for line in lines)


@pytest.mark.slow
def test_the_environment_sets_the_log_level(
    log: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWER_ETL_LOG_LEVEL", "info")
    assert any(" INFO tower_etl." in line for line in log())


@pytest.mark.slow
def test_a_misspelt_setting_is_reported(
    log: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWER_ETL_EXCLUDES", "tasks.script")
    assert any("WARNING" in line and "TOWER_ETL_EXCLUDE?" in line for line in log())


@pytest.mark.slow
def test_progress_is_printed_as_lines_without_a_terminal(
    log: Callable[..., list[str]], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.05)
    simulator.faults.add("/workflow", Fault("slow", delay=1.0))
    lines = log()
    assert any(
        re.fullmatch(r"(Connecting to the platform \.\.\.|Listing: \d+ calls)", x) for x in lines
    )
    assert not any("\r" in line or "\033" in line for line in lines)
