"""Conversion of rows that a user changed back to Arrow tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.schema import TABLES
from tower_etl.source import table_resource
from tower_etl.source.table_resource import RowsToArrow

if TYPE_CHECKING:
    import pytest


def test_a_column_that_only_some_rows_have_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first row lacks the column."""
    monkeypatch.setattr(table_resource, "is_in_pipeline", lambda: True)
    labels = TABLES["labels"]
    row = dict.fromkeys(labels.arrow_schema.names)
    found: Any = RowsToArrow(labels)([row, row | {"late": 3}])
    assert found.schema.names == [*labels.arrow_schema.names, "late"]
    assert found["late"].to_pylist() == [None, 3]
