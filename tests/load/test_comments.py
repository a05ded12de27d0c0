"""Descriptions of tables, views and columns are stored in the database as comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tower_etl.config.settings import PrivacySettings
from tower_etl.schema import TABLES
from tower_etl.views.definitions import (
    apply_views,
    iter_comment_statements,
    iter_views,
    list_comments,
)
from tower_etl.views.model_docs import describe_column

if TYPE_CHECKING:
    from pathlib import Path

    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import World


@pytest.fixture
def path(warehouse: Warehouse) -> Path:
    """Return the path of a published file."""
    warehouse.sync()
    return warehouse.target.path


def read_comments(path: Path) -> dict[tuple[str, str], str | None]:
    """Return the comments of the tables, views and columns of a file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(
            """
            SELECT table_name, '', comment FROM duckdb_tables() WHERE schema_name = 'tower'
            UNION ALL SELECT view_name, '', comment FROM duckdb_views() WHERE schema_name = 'tower'
            UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns()
            WHERE schema_name = 'tower'
            """
        ).fetchall()
    return {(table, column): comment for table, column, comment in found}


def test_tables_columns_and_views_have_comments(path: Path) -> None:
    """Comments have the texts of the data dictionary, with units."""
    said = read_comments(path)
    assert said["tasks", ""] == f"{TABLES['tasks'].description} {TABLES['tasks'].grain}"
    assert said["tasks", "peak_rss"] == "Peak resident memory. Unit: bytes."
    assert {said[view.name, ""] for view in iter_views()} == {view.comment for view in iter_views()}
    lacking = [
        (table.name, column.name)
        for table in TABLES.values()
        for column in table.columns
        if said.get((table.name, column.name)) != describe_column(column)
    ]
    assert lacking == []


def test_only_changed_comments_are_written(path: Path) -> None:
    said = read_comments(path)
    assert list(iter_comment_statements(list_comments(), said)) == []
    said["tasks", "name"] = "It's old"
    assert list(iter_comment_statements(list_comments(), said)) == [
        'COMMENT ON COLUMN "tasks"."name" IS \'Name of the task: process and tag.\''
    ]
    assert (
        list(iter_comment_statements({("t", ""): "It's new"}, {})) == []
    )  # the table does not exist
    assert list(iter_comment_statements({("t", ""): "It's new"}, {("t", ""): None})) == [
        "COMMENT ON TABLE \"t\" IS 'It''s new'"
    ]


@pytest.mark.slow
def test_a_promoted_column_has_a_comment(warehouse: Warehouse, world: World) -> None:
    """The comment is kept when the setting that promoted the column is removed."""
    world.add_entity("computeEnvs", id="ce", billedTo="lab")
    for wishes in (PrivacySettings(promoted=("compute_envs.billedTo",)), PrivacySettings()):
        warehouse.sync(wishes, reconcile=True)
        said = read_comments(warehouse.target.path)
        assert said["compute_envs", "billed_to"] == (
            "Field `billedTo` of the API, which the API description does not document."
        )


@pytest.mark.slow
def test_comments_are_applied_although_a_column_is_missing(path: Path) -> None:
    """The case stands for a file of an earlier release, which lacks newer columns."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE tower.tower.labels DROP COLUMN is_dynamic")
    apply_views(path)
    assert ("labels", "is_dynamic") not in read_comments(path)
