"""Example tables in the documentation are the results of the marts over the real runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.billing.examples import EXAMPLES, PAGES, PRICES
from tower_etl.cli.tables import as_markdown
from tower_etl.views.definitions import create_views, iter_views

if TYPE_CHECKING:
    from tests.billing.target import BillTarget

pytestmark = pytest.mark.shared

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_tables_in_the_pages_are_the_results_of_the_marts(
    target: BillTarget, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the form of `tower-etl query --format markdown`."""
    (tmp_path / "prices.csv").write_text(PRICES)
    monkeypatch.setenv("TOWER_ETL_PRICES", str(tmp_path / "prices.csv"))
    target.load(export)
    with duckdb.connect(str(target.path)) as connection:
        connection.execute("USE runs.tower")
        create_views(connection, iter_views())
        for page, names in PAGES.items():
            text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
            for name in names:
                asked = connection.execute(EXAMPLES[name])
                columns = [column[0] for column in asked.description or ()]
                assert as_markdown(columns, asked.fetchall()).strip() in text, (page, name)
