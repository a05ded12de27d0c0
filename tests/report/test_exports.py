"""Costs by the values of a label key: an HTML page, and a CSV file for each value."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.sql.small import SmallHistory
from tower_etl.errors import ConfigurationError
from tower_etl.report.exports import write_invoices
from tower_etl.views.definitions import apply_views
from tower_etl.warehouse.filters import RunFilter

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def write_file(history: SmallHistory, path: Path) -> Path:
    """Write a history to a DuckDB file, with views."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA tower; USE tower")
        for name, rows in history.tables.items():
            connection.register("rows", rows)
            connection.execute(f'CREATE TABLE "{name}" AS FROM rows')
            connection.unregister("rows")
    apply_views(path)
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_each_label_value_has_a_csv_file_with_totals_by_currency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bill is beside the estimate. Runs without the key are in the file for `none`."""
    (tmp_path / "prices.csv").write_text("executor,cpu_hour,currency\nslurm,0.5,EUR\n")
    monkeypatch.setenv("TOWER_ETL_PRICES", str(tmp_path / "prices.csv"))
    small = SmallHistory()
    for number, value in enumerate(("a/b", "a b")):
        small.name_label(number, "project", value)
        small.add_run(f"r{number}")
        small.add_label(f"r{number}", number)
        small.add_task(f"r{number}", cost=2.0)
    small.add_task("r0", cost=None, executor="slurm")
    small.add_run("rest")
    small.add_bill_line(run_id="r0", used_cost=3.0, unused_cost=1.0)
    path = write_file(small, tmp_path / "here.duckdb")
    page, *files = write_invoices(path, str(tmp_path / "jan.html"), "project", NOW, RunFilter())
    names = ["jan-project-a-b-2.csv", "jan-project-a-b.csv", "jan-project-none.csv"]
    assert sorted(file.name for file in files) == names
    lines = {file.name: read_csv(file) for file in files}
    (billed,) = [found for found in lines.values() if found[0]["run_id"] == "r0"]
    columns = ("run_id", "currency", "cost_source", "cost_usd", "bill_usd")
    assert [tuple(line[name] for name in columns) for line in billed] == [
        ("r0", "EUR", "price_list", "1.0", ""),
        ("r0", "USD", "platform", "2.0", "4.0"),
        ("total", "EUR", "", "1.0", "0"),
        ("total", "USD", "", "2.0", "4.0"),
    ]
    text = page.read_text(encoding="utf-8")
    assert "3 runs" in text
    assert "1.00\u202fEUR" in text
    assert "$4.00" in text


@pytest.mark.slow
def test_an_unknown_label_key_is_refused_with_the_existing_keys(tmp_path: Path) -> None:
    """The keys are in alphabetical order, so that the message is the same every time."""
    small = SmallHistory()
    small.add_run("a")
    for number, key in enumerate(("team", "centre", "study", "grant", "batch", "lab", "site")):
        small.name_label(number, key, "7")
        small.add_label("a", number)
    path = write_file(small, tmp_path / "here.duckdb")
    keys = "batch, centre, grant, lab, site, study, team"
    with pytest.raises(ConfigurationError, match=rf"'project'\. There are: {keys}\."):
        write_invoices(path, str(tmp_path / "x.html"), "project", NOW, RunFilter())
