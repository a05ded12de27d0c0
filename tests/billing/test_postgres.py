"""The real bill, price list and energy: views on PostgreSQL, estimates, comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.billing.examples import PRICES
from tests.sql.postgres import read_tables, start_postgres
from tests.sql.test_dialects import list_differing_rows, same
from tower_etl.report.comparison import compare_groups
from tower_etl.report.comparison_data import read_groups
from tower_etl.views.definitions import create_views, iter_views
from tower_etl.views.dialects import iter_statements, translate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.billing.target import BillTarget

pytestmark = [pytest.mark.shared, pytest.mark.slow]

NAMES = frozenset(
    {
        "bill_by_run",
        "bill_by_process",
        "bill_by_user",
        "bill_unattributed",
        "packing",
        "cost_by_label_key",
        "cost_by_sample",
        "energy_by_run",
        "energy_by_pipeline",
        "energy_by_user",
        "stg_list_prices",
        "stg_comparable_tasks",
        "stg_run_groups",
    }
)


def test_postgres_views_have_the_values_of_duckdb(
    target: BillTarget, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All checks return no row on PostgreSQL."""
    (tmp_path / "prices.csv").write_text(PRICES)
    monkeypatch.setenv("TOWER_ETL_PRICES", str(tmp_path / "prices.csv"))
    target.load(export)
    views = list(iter_views())
    with start_postgres() as server, duckdb.connect(str(target.path)) as connection:
        connection.execute("USE runs.tower")
        create_views(connection, views)
        server.fill(read_tables(connection))
        server.run("".join(f"{statement};\n" for statement in iter_statements(views, "postgres")))
        there = server.ask(sorted(NAMES))
        for view in (view for view in views if view.name in NAMES):
            relation = connection.sql(f'FROM "{view.name}"')
            header, *cells = there[view.name]
            here = (relation.columns, relation.fetchall())
            assert list_differing_rows(view, here, (header, cells), same) == [], view.name
        broken = [
            check.name
            for check in iter_views("checks")
            if server.run(f"\\t\n{translate(check.sql, 'postgres')};\n").strip()
        ]
        assert broken == []


def test_list_prices_are_close_to_the_estimates_of_the_platform(
    target: BillTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For on-demand tasks, list prices of AWS are within 0.5 % of the estimates."""
    (tmp_path / "prices.csv").write_text(PRICES)
    monkeypatch.setenv("TOWER_ETL_PRICES", str(tmp_path / "prices.csv"))
    with duckdb.connect(str(target.path)) as connection:
        connection.execute("USE runs.tower")
        create_views(connection, iter_views())
        ((listed, estimated),) = connection.execute(
            "SELECT sum(p.cost), sum(t.cost_usd) FROM stg_tasks AS t "
            "JOIN stg_list_prices AS p USING (run_id, task_id) "
            "WHERE NOT t.cached AND t.price_model = 'standard'"
        ).fetchall()
    assert estimated == pytest.approx(6.011797, abs=1e-6)
    assert listed == pytest.approx(estimated, rel=0.005)


def test_two_real_runs_are_compared_by_estimate_and_bill(
    target: BillTarget, export: Path, tmp_path: Path
) -> None:
    """They belong to different pipelines, which the comparison reports."""
    target.load(export)
    (tmp_path / "g.csv").write_text("run_id,group\n10Sj9ejvKktHWg,rna\nwELtvsveirfd9,meth\n")
    groups = read_groups(target.select, str(tmp_path / "g.csv"), ("rna", "meth"))
    found = compare_groups("list", *groups)
    assert found.crosses_pipelines
    assert found.matched == 0
    assert found.first.average("platform_usd") == pytest.approx(21.260741, abs=1e-6)
    assert found.second.average("bill_usd") == pytest.approx(8.9555 + 24.0118, abs=1e-4)
