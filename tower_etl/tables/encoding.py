r"""Text that PostgreSQL and Redshift cannot store: U+0000, and JSON escapes that name no character.

PostgreSQL refuses a NUL in text, and a query fails when it takes the JSON escape `\u0000` or half
of a surrogate pair out of a document. One such character would fail its package at every sync.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.tables.table import TableSpec

STRICT_DIALECTS = frozenset({"postgres", "redshift"})
"""SQL dialects, as dlt and sqlglot name them, of databases that refuse such text."""

_NUL, _REPLACEMENT = "\x00", "\ufffd"
_SUSPECT = r"\\u(0000|[dD][89a-fA-F])"
# Escapes are matched from left to right, so that an escaped backslash before `u0000` is none.
_ESCAPE = re.compile(
    r"(?P<valid>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<invalid>\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)


def replace_unstorable(
    batch: Mapping[str, pa.Table], specs: Mapping[str, TableSpec]
) -> dict[str, pa.Table]:
    """Return the tables with U+FFFD in the place of each character that the database refuses.

    Args:
        batch: Rows by table.
        specs: The tables, which tell JSON from other text.
    """
    return {name: _clean_table(rows, specs[name]) for name, rows in batch.items()}


def _clean_table(rows: pa.Table, spec: TableSpec) -> pa.Table:
    json_columns = {column.name for column in spec.columns if column.is_json}
    for index, field in enumerate(rows.schema):
        if field.type == pa.string():
            clean = _clean_json if field.name in json_columns else _clean_text
            rows = rows.set_column(index, field, clean(rows.column(index)))
    return rows


def _clean_text(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring(texts, _NUL)).as_py():
        return texts
    return pc.replace_substring(texts, _NUL, _REPLACEMENT)


def _clean_json(documents: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring_regex(documents, _SUSPECT)).as_py():
        return documents
    cleaned = [None if text is None else _replace_escapes(text) for text in documents.to_pylist()]
    return pa.chunked_array([pa.array(cleaned, pa.string())])


def _replace_escapes(document: str) -> str:
    return _ESCAPE.sub(lambda found: r"\ufffd" if found["invalid"] else found[0], document)
