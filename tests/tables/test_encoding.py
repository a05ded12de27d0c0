"""Characters that a database refuses: replaced where it does, and nothing else is touched."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tower_etl.config.settings import PrivacySettings
from tower_etl.schema import TABLES
from tower_etl.transform import ColumnPolicy

DOCUMENTS = {
    '{"a":"\\u0000"}': {"a": "\ufffd"},
    '{"\\u0000":[1.50,"x\\u0000\\u0000"]}': {"\ufffd": [1.5, "x\ufffd\ufffd"]},
    '"\\\\u0000"': "\\u0000",
    '"\\\\\\u0000"': "\\\ufffd",
    '"\\ud83e\\uddec"': "\U0001f9ec",
    '"\\uD800"': "\ufffd",
    '"\\udc00\\ud800x"': "\ufffd\ufffdx",
    '"\\ud800\\u0000\\""': '\ufffd\ufffd"',
    "123456789012345678901234567890.10": 123456789012345678901234567890.10,
}


def treat(dialect: str, **columns: list[str | None]) -> pa.Table:
    """Rows of `workflows` as they go to a destination."""
    rows = TABLES["workflows"].arrow_schema.empty_table().to_pydict()
    count = len(next(iter(columns.values())))
    table = pa.table(
        {name: [None] * count for name in rows} | columns, TABLES["workflows"].arrow_schema
    )
    plan = ColumnPolicy.from_settings(PrivacySettings(redact=False), TABLES, dialect)
    return plan.apply({"workflows": table})["workflows"]


@pytest.mark.parametrize("dialect", ["postgres", "redshift"])
def test_a_nul_in_text_is_replaced(dialect: str) -> None:
    """In keys, too; null stays null."""
    rows = treat(dialect, id=["a\x00b", "c"], run_name=["\x00\x00", None])
    assert rows["id"].to_pylist() == ["a\ufffdb", "c"]
    assert rows["run_name"].to_pylist() == ["\ufffd\ufffd", None]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_escapes_in_json_that_name_no_character_are_replaced(document: str) -> None:
    """Numbers keep their digits, and an escaped backslash is no escape."""
    rows = treat("postgres", id=["r"], params=[document])
    (text,) = rows["params"].to_pylist()
    assert json.loads(text) == DOCUMENTS[document]
    if "u" not in document:
        assert text == document


def test_other_destinations_keep_every_character() -> None:
    """DuckDB and Parquet hold them."""
    rows = treat("duckdb", id=["a\x00b"], params=['"\\u0000"'])
    assert (rows["id"].to_pylist(), rows["params"].to_pylist()) == (["a\x00b"], ['"\\u0000"'])
