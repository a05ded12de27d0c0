"""The Dagster example, run by Dagster's own command."""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.orchestrators.conftest import ROOT, finish
from tests.orchestrators.history import load_everything, read_keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.orchestrators.conftest import Programs

ASSETS = str(ROOT / "pipelines" / "dagster_assets.py")
STEP_EVENT = re.compile(r"^(\S+ \S+) .* tower_tables - STEP_(START|SUCCESS) ", re.MULTILINE)


@pytest.fixture
def dagster(programs: Programs) -> Programs:
    """Return Dagster with the configuration file of the example."""
    home = programs.folder / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "pipelines" / "dagster.yaml", home)
    programs.environ["DAGSTER_HOME"] = str(home)
    programs.run("dagster", "instance", "concurrency", "get", "--all")  # creates its databases
    return programs


def materialize(*tables: str) -> list[str]:
    """Return the command that materializes some tables."""
    selection = ",".join(f"tower/{table}" for table in tables)
    return ["dagster", "asset", "materialize", "--select", selection, "-f", ASSETS]


def test_materializing_a_subset_then_all_assets_equals_one_full_load(
    dagster: Programs, endpoint: str, tmp_path: Path
) -> None:
    """The subset loads the selected tables only, and completely: `tasks` without `workflows`."""
    file = tmp_path / "history.duckdb"
    subset = ["tasks", "users"]
    everything = load_everything(endpoint, tmp_path)
    dagster.run(*materialize(*subset))
    assert read_keys(file) == {table: everything[table] for table in subset}
    dagster.run("dagster", "job", "execute", "-j", "tower_sync", "-f", ASSETS)
    assert read_keys(file) == everything


def test_concurrent_dagster_runs_sync_one_after_the_other(
    dagster: Programs, endpoint: str, tmp_path: Path
) -> None:
    """The pool has a single slot, which the second run waits for."""
    both = [dagster.start(*materialize(*tables)) for tables in (["tasks"], ["workflows"])]
    spans = sorted(find_span(finish(run)) for run in both)
    assert spans[0][1] <= spans[1][0]
    everything = load_everything(endpoint, tmp_path)
    loaded = {table: everything[table] for table in ("tasks", "workflows")}
    assert read_keys(tmp_path / "history.duckdb") == loaded


def find_span(log: str) -> tuple[datetime, datetime]:
    """Return the start and the end of the only step of a run."""
    events = {event: moment for moment, event in STEP_EVENT.findall(log)}
    assert events.keys() == {"START", "SUCCESS"}, log
    start, end = events["START"], events["SUCCESS"]
    return datetime.fromisoformat(f"{start}Z"), datetime.fromisoformat(f"{end}Z")


def test_the_definitions_load_without_a_token_and_have_a_running_schedule(
    dagster: Programs,
) -> None:
    """Only the processes that sync need the token."""
    for name in ("TOWER_ACCESS_TOKEN", "TOWER_HISTORY"):
        del dagster.environ[name]
    listed = dagster.run("dagster", "schedule", "list", "-f", ASSETS)
    assert "tower_sync_schedule [RUNNING]\nCron Schedule: */15 * * * *" in listed
