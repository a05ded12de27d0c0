"""The documentation of the views matches the views: headers, comments, order, and questions.md."""

from __future__ import annotations

import operator
import re
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml

from tests.sql.small import SmallHistory
from tower_etl.cli.tables import as_markdown
from tower_etl.schema import STORED_TABLES
from tower_etl.views.definitions import apply_views, iter_views, sql_root
from tower_etl.views.model_page import render_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.views.definitions import View

ROOT = Path(__file__).parents[2]
VIEWS = list(iter_views())


WRITTEN = [view for view in VIEWS if view.kind != "seeds"]
name_of = operator.attrgetter("name")


@pytest.mark.parametrize("view", WRITTEN, ids=name_of)
def test_a_view_starts_with_its_grain_and_has_at_most_80_lines(view: View) -> None:
    """The grain is that of the YAML documentation."""
    header = " ".join(line.removeprefix("-- ") for line in view.sql.splitlines()[:4])
    assert header.startswith(f"Grain: {view.docs.grain}.")
    assert len(view.sql.splitlines()) <= 80


@pytest.fixture(scope="module")
def columns() -> Iterator[dict[str, list[str]]]:
    """Return the columns of each view, in their order."""
    with SmallHistory().open() as connection:
        yield {view.name: connection.sql(f'FROM "{view.name}"').columns for view in VIEWS}


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
def test_every_view_and_column_is_described(columns: dict[str, list[str]], view: View) -> None:
    """Columns are described in the order of the view, in full sentences and with their unit."""
    docs = view.docs
    assert list(docs.columns) == columns[view.name]
    texts = (docs.description, *(column.description for column in docs.columns.values()))
    assert [text for text in texts if not re.search(r"\w.*[.]$", text)] == []
    suffixes = ["_usd", "_hours", "_gib", "_seconds", "_minutes", "_at"]
    named = [name for name in docs.columns if name.endswith(tuple(suffixes))]
    assert [name for name in named if not docs.columns[name].unit] == []


def test_yaml_files_follow_the_dbt_format() -> None:
    """Each file has one model or seed and the same name, so that dbt can read it too."""
    for path in sorted(sql_root().glob("*/*.yml")):
        content = yaml.safe_load(path.read_text("utf-8"))
        assert content["version"] == 2
        ((kind, (model,)),) = ((key, value) for key, value in content.items() if key != "version")
        assert kind == ("seeds" if path.parent.name == "seeds" else "models")
        assert model["name"] == path.stem


def test_marts_with_costs_have_currency_and_cost_source(columns: dict[str, list[str]]) -> None:
    """Without these columns, users might add two currencies, or an estimate to a bill."""
    lacking = [
        view.name
        for view in VIEWS
        if view.kind == "marts"
        and any(name.endswith("_usd") or "_usd_" in name for name in columns[view.name])
        and not {"currency", "cost_source"} <= set(columns[view.name])
    ]
    assert lacking == []


def test_marts_read_only_staging_views_and_marts() -> None:
    """A run filter replaces staging views, so it would not apply to a mart that reads a table."""
    marts = [view for view in VIEWS if view.kind == "marts"]
    assert {view.name for view in marts if view.sources & STORED_TABLES.keys()} == set()


def test_views_are_ordered_after_the_views_that_they_read() -> None:
    """The order of names would put `stg_run_spend` before `stg_tasks`."""
    names = [view.name for view in VIEWS]
    for place, view in enumerate(VIEWS):
        assert view.sources & set(names) <= set(names[:place])
    assert names.index("stg_tasks") < names.index("stg_run_spend")


def test_questions_page_lists_every_mart() -> None:
    """The table is the output of the command that precedes it on the page."""
    rows = sorted((view.name, view.description) for view in iter_views("marts"))
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    assert as_markdown(("name", "answers"), rows) in page


def test_questions_page_lists_every_column() -> None:
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    assert render_columns() in page


@pytest.mark.slow
def test_views_and_columns_have_comments_in_the_database(tmp_path: Path) -> None:
    """SQL clients show these comments."""
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
        found = connection.execute(
            "SELECT c.table_name, c.column_name, c.comment FROM duckdb_columns() AS c "
            "JOIN duckdb_views() AS v ON v.view_name = c.table_name "
            "WHERE c.schema_name = 'tower' AND v.schema_name = 'tower'"
        ).fetchall()
    said = {(view, column): comment for view, column, comment in found}
    assert comments == {view.name: view.comment for view in VIEWS}
    assert comments["cost_by_user"] == (
        "Cost of the runs of each user. Grain: user, currency and source of cost. CACHED tasks cost"
        " nothing again. `failed_cost_usd` is the cost of failed attempts, in runs that succeeded"
        " too."
    )
    assert said["memory_requests", "recommended_gib"] == (
        "Recommended memory request of a first attempt; null if none was measured. Unit: GiB."
    )
    assert [key for key, comment in said.items() if not comment] == []
