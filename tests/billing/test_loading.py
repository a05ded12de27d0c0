"""Loads of bills: killed, repeated, or before the first sync; `bill check`; lakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tower_etl.billing.load import BillLoad
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.config import DestinationConfig
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from tests.billing.target import BillTarget

pytestmark = pytest.mark.shared

KILLED = Path(__file__).parents[1] / "processes" / "kill_at.py"
POINTS = [
    "before:dlt.extract.extract:Extract.commit_packages:1",
    "after:dlt.normalize.normalize:Normalize.run:1",
    "after:tower_etl.destinations.direct_merge:DirectMergeClient._load:1",
    "before:dlt.destinations.job_client_impl:SqlJobClientBase.complete_load:1",
    "after:dlt.destinations.job_client_impl:SqlJobClientBase.complete_load:1",
    "before:tower_etl.destinations.duckdb:apply_views:1",
    "after:tower_etl.destinations.staging_file:StagingFile.publish:1",
]
TOTALS = "SELECT count(*), round(sum(cost), 6), count(DISTINCT line_number) FROM bill_lines"


def run_command(target: BillTarget, *args: str, point: str | None = None) -> tuple[int, str]:
    """Run `tower-etl bill` on a target and return exit code and standard output."""
    command = [sys.executable, str(KILLED), point] if point else [sys.executable, "-m", "tower_etl"]
    done = subprocess.run(
        [*command, "bill", *args, "--path", str(target.path)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(target.path.parent / "state")},
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_load_after_a_killed_load_has_every_line_once(
    target: BillTarget, export: Path, point: str
) -> None:
    """The runs that were published before the kill are kept."""
    args = ("load", "--provider", "aws", str(export))
    assert run_command(target, *args, point=point)[0] == -signal.SIGKILL
    code, out = run_command(target, *args, "--json")
    assert (code, json.loads(out)["lines"]) == (0, 793)
    assert target.select(TOTALS) == [(793, 62.730671, 793)]
    assert target.select("SELECT count(*) FROM workflows") == [(3,)]


def test_a_bill_before_the_first_sync_is_refused(tmp_path: Path, export: Path) -> None:
    """Without runs, no line can be attributed."""
    place = DestinationConfig("duckdb", str(tmp_path / "none.duckdb"), tmp_path / "state")
    load = BillLoad(open_destination(place), [str(export)], "aws", SYSTEM_CLOCK)
    with pytest.raises(ConfigurationError, match="has no runs yet: run `tower-etl sync` first"):
        load.run()
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.slow
def test_a_file_that_is_no_bill_leaves_no_staging_copy(target: BillTarget, tmp_path: Path) -> None:
    """`views` would report an interrupted sync."""
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    assert run_command(target, "load", "--provider", "aws", str(other))[0] == 2
    folder = target.path.with_name(f"{target.path.name}.sync")
    assert not (folder / "draft.duckdb").exists()


def test_bill_check_reports_attribution_and_missing_tags(target: BillTarget, export: Path) -> None:
    """It runs before a load, after a load, and after a load with a mapping to an unknown tag."""
    code, out = run_command(target, "check")
    assert (code, "No bill is loaded" in out) == (0, True)
    target.load(export)
    code, out = run_command(target, "check", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["missing_tags"] == []
    assert found["periods"][0]["attributed_percent"] == pytest.approx(99.8, abs=0.01)
    assert found["periods"][0]["of_tasks"] == pytest.approx(62.6072, abs=1e-4)
    assert found["unattributed"][0]["reason"] == "unknown run"
    code, _ = run_command(
        target, "load", "--provider", "aws", str(export), "--map", "run_id=no_such_tag"
    )
    code, out = run_command(target, "check")
    assert "Missing tag: no line has a value for run_id" in out
    assert "uniqueRunId: System.getenv('TOWER_WORKFLOW_ID')" in out


@pytest.mark.slow
def test_a_lake_restores_the_bill_without_its_staging_copy(
    synced: Path, export: Path, tmp_path: Path
) -> None:
    """The staging copy is deleted, and the second load rebuilds it from the lake."""
    from tests.load.warehouse import ask_for  # noqa: PLC0415 beside its only use
    from tower_etl.pipeline import SyncRunner  # noqa: PLC0415 as above
    from tower_etl.simulator import (  # noqa: PLC0415 as above
        NO_LIMIT,
        Simulator,
        load_runs,
        serve,
    )
    from tower_etl.warehouse.reader import open_reader  # noqa: PLC0415 as above

    del synced
    folder = tmp_path / "lake"
    place = DestinationConfig("parquet", str(folder), tmp_path / "state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        with serve(Simulator(load_runs(export.parents[1] / "runs"), limit=NO_LIMIT)) as endpoint:
            SyncRunner(ask_for(endpoint), open_destination(place), SYSTEM_CLOCK).run()
    for _ in range(2):
        BillLoad(open_destination(place), [str(export)], "aws", SYSTEM_CLOCK).run()
        with open_reader(folder) as connection:
            assert connection.execute(TOTALS).fetchall() == [(793, 62.730671, 793)]
            bills = connection.execute("SELECT sum(bill_usd) FROM bill_by_run").fetchall()
            assert bills == [(pytest.approx(62.6072, abs=1e-4),)]
        shutil.rmtree(tmp_path / "lake.sync")
