"""The bill of the simulator: sums over its runs, and comparisons of releases."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING

import pytest

from tests.billing.target import BillTarget
from tests.load.warehouse import Warehouse
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.report.comparison import compare_groups
from tower_etl.report.comparison_data import read_groups
from tower_etl.simulator import NO_LIMIT, Simulator, build_world, serve, write_bill
from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.report.comparison import Comparison

PIPELINE = "nf-core/rnaseq"
PLANTED = 0.9 / 1.3  # run time factors of 3.19.0 and 3.18.0 in data/pipelines.toml
CHARGED = 0.72


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> tuple[BillTarget, Path]:
    """Return a target with the runs and the bill of the demo, and the export."""
    folder = tmp_path_factory.mktemp("demo")
    target, export = BillTarget(folder / "runs.duckdb"), folder / "bill.csv.gz"
    simulator = Simulator(build_world(1, runs=110, open_runs=6, days=12), limit=NO_LIMIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        with serve(simulator) as endpoint:
            paths = resolve_duckdb_paths(target.path)
            assert Warehouse(paths, endpoint, SYSTEM_CLOCK).sync().result.status == "ok"
    lines = write_bill(simulator.world, export)
    assert target.load(export).lines.total() == lines
    return target, export


def compare(target: BillTarget, kind: str, first: str, second: str) -> Comparison:
    """Compare two groups of runs of the pipeline."""
    groups = read_groups(target.select, kind, (first, second), (PIPELINE,))
    return compare_groups(kind, *groups)


@pytest.mark.slow
def test_every_bill_line_is_attributed_once_or_unattributed(
    billed: tuple[BillTarget, Path],
) -> None:
    """Lines of machines are not counted in addition to their split lines."""
    target, export = billed
    with gzip.open(export, "rt") as file:
        lines = list(csv.DictReader(file))
    machines = [x for x in lines if x["product_product_family"] == "Compute Instance"]
    split = [x for x in lines if x["split_line_item_split_cost"]]
    names = ("split_line_item_split_cost", "split_line_item_unused_cost")
    used, unused = (sum(float(line[name]) for line in split) for name in names)
    assert sum(float(x["line_item_unblended_cost"]) for x in machines) == pytest.approx(
        used + unused, abs=1e-4
    )
    ((run_used, run_unused, platform),) = target.select(
        "SELECT sum(used_usd), sum(unused_usd), sum(platform_usd) FILTER (bill_usd IS NOT NULL) "
        "FROM bill_by_run"
    )
    assert (run_used, run_unused) == (
        pytest.approx(used, abs=1e-3),
        pytest.approx(unused, abs=1e-3),
    )
    assert run_used == pytest.approx(CHARGED * platform, rel=1e-3)
    others = [x for x in lines if not x["resource_tags"] and x not in machines]
    reasons = target.select("SELECT DISTINCT reason FROM bill_unattributed")
    assert reasons == [("no run tag",)]
    ((left,),) = target.select("SELECT sum(cost) FROM bill_unattributed")
    assert left == pytest.approx(sum(float(x["line_item_unblended_cost"]) for x in others))
    assert (
        target.select("SELECT run_id FROM bill_by_run WHERE coverage > 0 AND coverage < 100") == []
    )
    broken = [view.name for view in iter_views("checks") if target.select(view.sql)]
    assert broken == []


@pytest.mark.slow
def test_two_releases_differ_by_the_simulated_factor(billed: tuple[BillTarget, Path]) -> None:
    """The newer release has shorter run times, and its estimates differ as well."""
    found = compare(billed[0], "revision", "3.18.0", "3.19.0")
    measures = {measure.name: measure for measure in found.measures}
    run = measures["run_seconds"]
    assert run.low is not None
    assert run.high is not None
    assert run.low < PLANTED < run.high < 1
    assert measures["platform_usd"].differs


@pytest.mark.slow
def test_two_halves_of_a_release_differ_in_no_measure(
    billed: tuple[BillTarget, Path], tmp_path: Path
) -> None:
    target = billed[0]
    runs = target.select(
        "SELECT run_id FROM stg_runs WHERE pipeline = 'nf-core/rnaseq' AND revision = '3.18.0' "
        "ORDER BY submitted_at"
    )
    groups = tmp_path / "halves.csv"
    rows = [f"{run_id},{'ab'[number % 2]}\n" for number, (run_id,) in enumerate(runs)]
    groups.write_text("run_id,group\n" + "".join(rows))
    found = compare(target, str(groups), "a", "b")
    assert found.matched > 20
    assert [measure.name for measure in found.measures if measure.differs] == []
