"""Characters that a destination refuses are replaced for it; all other text is unchanged."""

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
    """Return rows of `workflows` as the column policy passes them to a destination."""
    rows = TABLES["workflows"].arrow_schema.empty_table().to_pydict()
    count = len(next(iter(columns.values())))
    table = pa.table(
        {name: [None] * count for name in rows} | columns, TABLES["workflows"].arrow_schema
    )
    plan = ColumnPolicy.from_settings(PrivacySettings(redact=False), TABLES, dialect)
    return plan.apply({"workflows": table})["workflows"]


@pytest.mark.parametrize("dialect", ["postgres", "redshift"])
def test_nul_characters_in_text_are_replaced(dialect: str) -> None:
    """Key columns are included; null stays null."""
    rows = treat(dialect, id=["a\x00b", "c"], run_name=["\x00\x00", None])
    assert rows["id"].to_pylist() == ["a\ufffdb", "c"]
    assert rows["run_name"].to_pylist() == ["\ufffd\ufffd", None]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_json_escapes_of_invalid_characters_are_replaced(document: str) -> None:
    """Numbers keep their digits, and an escaped backslash does not start another escape."""
    rows = treat("postgres", id=["r"], params=[document])
    (text,) = rows["params"].to_pylist()
    assert json.loads(text) == DOCUMENTS[document]
    if "u" not in document:
        assert text == document


def test_other_destinations_keep_every_character() -> None:
    """DuckDB and Parquet can store these characters."""
    rows = treat("duckdb", id=["a\x00b"], params=['"\\u0000"'])
    assert (rows["id"].to_pylist(), rows["params"].to_pylist()) == (["a\x00b"], ['"\\u0000"'])
