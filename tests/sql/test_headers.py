"""What is written of the views is true: headers, comments, order, the page that lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.sql.small import SmallHistory
from tower_etl.cli.tables import as_markdown
from tower_etl.schema import TABLES
from tower_etl.views.definitions import apply_views, iter_views

if TYPE_CHECKING:
    from tower_etl.views.definitions import View

ROOT = Path(__file__).parents[2]
VIEWS = list(iter_views())


@pytest.mark.parametrize(
    "view", [view for view in VIEWS if view.kind != "seeds"], ids=lambda view: view.name
)
def test_a_view_is_short_and_says_its_grain(view: View) -> None:
    """A sentence on the first line, the grain on the second, 80 lines at most."""
    first, second, *_ = view.sql.splitlines()
    assert first.startswith("-- ")
    assert first.endswith(".")
    assert second.startswith("-- Grain: ")
    assert len(view.sql.splitlines()) <= 80


def test_marts_read_staging_views_alone() -> None:
    """Or else a scope would not hold for them."""
    marts = [view for view in VIEWS if view.kind == "marts"]
    assert {view.name for view in marts if view.sources & TABLES.keys()} == set()


def test_views_come_after_those_that_they_read() -> None:
    """Also where the alphabet would have it otherwise."""
    names = [view.name for view in VIEWS]
    for place, view in enumerate(VIEWS):
        assert view.sources & set(names) <= set(names[:place])
    assert names.index("stg_tasks") < names.index("stg_run_spend")


def test_the_page_lists_every_question() -> None:
    """As the command prints it that stands there."""
    rows = sorted((view.name, view.description) for view in iter_views("marts"))
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    assert as_markdown(("name", "answers"), rows) in page


def test_views_carry_their_headers_as_comments(tmp_path: Path) -> None:
    """SQL clients show them."""
    path = tmp_path / "here.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA tower; USE here.tower")
        for name, rows in SmallHistory().tables.items():
            connection.register("rows", rows)
            connection.execute(f'CREATE TABLE "{name}" AS FROM rows')
            connection.unregister("rows")
    apply_views(path)
    with duckdb.connect(str(path), read_only=True) as connection:
        sql = "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'tower'"
        comments = dict(connection.execute(sql).fetchall())
    assert comments == {view.name: view.comment for view in VIEWS}
    assert comments["cost_by_user"] == (
        "What the runs of each user cost. Grain: user. Units: USD, hours. CACHED tasks cost nothing"
        " again. `failed_cost_usd` is what attempts of tasks that failed cost, in runs that"
        " succeeded too."
    )


@pytest.mark.parametrize(
    "view", [view for view in VIEWS if view.docs.columns], ids=lambda view: view.name
)
def test_the_file_beside_a_view_describes_its_columns(view: View) -> None:
    """All of them, in their order; each with a meaning."""
    with SmallHistory().open() as connection:
        columns = connection.sql(f'FROM "{view.name}"').columns
    assert list(view.docs.columns) == columns
    assert all(docs.description for docs in view.docs.columns.values())


def test_every_mart_of_bills_energy_and_projects_is_described() -> None:
    """In a file beside it."""
    names = ("bill_", "energy_", "cost_by_sample", "packing")
    named = [view for view in VIEWS if view.name.startswith(names)]
    assert len(named) == 9
    assert all(view.docs.grain for view in named)
