"""Cleaning of the text columns of a batch: secrets, and characters that databases reject.

Clean text costs one pass of RE2 over the buffers of the columns; the patterns are applied only to
rows that match the prefilter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.lossless import load_json, to_json
from tower_etl.redaction import MASK, PATTERNS, SECRET_KEY, SECRET_NUMBER_KEY, build_prefilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tower_etl.redaction import Pattern
    from tower_etl.schema.table import TableSpec
    from tower_etl.schema.types import ColumnSpec

_MAX_DEPTH = 100  # levels of JSON, far below Python's recursion limit


@dataclass(frozen=True)
class Redactor:
    """Redactor of the secrets that match patterns, in the columns that can contain them."""

    patterns: tuple[Pattern, ...] = PATTERNS

    @cached_property
    def _prefilter(self) -> str:
        return build_prefilter(self.patterns)

    def redact(
        self, batch: Mapping[str, pa.Table], specs: Mapping[str, TableSpec]
    ) -> dict[str, pa.Table]:
        """Return the tables with secrets masked; key columns are not changed."""
        tables = dict(batch)
        for name, column in self._find_candidates(tables, specs):
            rows = tables[name]
            index = rows.schema.get_field_index(column.name)
            arrays = [self._redact_array(part, column) for part in _join(rows.column(index))]
            cleaned = pa.chunked_array(arrays, column.type)
            tables[name] = rows.set_column(index, rows.schema.field(index), cleaned)
        return tables

    def _find_candidates(
        self, tables: Mapping[str, pa.Table], specs: Mapping[str, TableSpec]
    ) -> list[tuple[str, ColumnSpec]]:
        """Return the columns that may contain secrets, by one search in all of their text."""
        searched = [
            (name, column, buffer)
            for name, rows in tables.items()
            for column in specs[name].columns
            if column.can_hold_secrets
            for buffer in _iter_buffers(rows.column(column.name))
        ]
        if not searched:
            return []
        buffers = pa.concat_arrays([buffer for *_, buffer in searched])
        matches = pc.match_substring_regex(buffers, self._prefilter).to_pylist()
        results = zip(searched, matches, strict=True)
        return list(dict.fromkeys((name, column) for (name, column, _), hit in results if hit))

    def _redact_array(self, array: pa.Array, column: ColumnSpec) -> pa.Array:
        hits = pc.fill_null(pc.match_substring_regex(array, self._prefilter), fill_value=False)
        matching = array.filter(hits)
        if not len(matching):
            return array
        redact = self._redact_documents if column.is_json else self._redact_texts
        return pc.replace_with_mask(array, hits, redact(matching))

    def _redact_texts(self, texts: pa.Array) -> pa.Array:
        for pattern in self.patterns:
            texts = pc.replace_substring_regex(texts, pattern.regex, pattern.replacement)
        return texts

    def _redact_documents(self, documents: pa.Array) -> pa.Array:
        """Mask secrets in the values of JSON documents, so that the documents stay valid JSON."""
        values = [load_json(document) for document in documents.to_pylist()]
        texts = list(dict.fromkeys(text for value in values for text in _iter_texts(value)))
        redacted = self._redact_texts(pa.array(texts, pa.string())).to_pylist()
        redact = dict(zip(texts, redacted, strict=True)).__getitem__
        return pa.array([to_json(_redact_json(value, redact)) for value in values], pa.string())


def _iter_buffers(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """Yield all text of a column as one string, or as several if it exceeds 2 GB.

    The strings share the buffers of the column, so that nothing is copied.
    """
    for chunk in _join(column):
        text = chunk.buffers()[2]
        if text is not None and text.size:
            bounds = pa.array([0, text.size], pa.int64()).buffers()[1]
            yield pa.LargeStringArray.from_buffers(1, bounds, text)


def _join(column: pa.ChunkedArray) -> list[pa.Array]:
    # Arrow returns several chunks where 32-bit offsets cannot address the text of a column.
    combined = column.combine_chunks()
    return list(combined.chunks) if isinstance(combined, pa.ChunkedArray) else [combined]


def _iter_texts(value: Any, levels: int = _MAX_DEPTH) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the strings in a JSON value, including the keys of objects."""
    if levels == 0:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _iter_texts(item, levels - 1)
    elif isinstance(value, list):
        for item in value:
            yield from _iter_texts(item, levels - 1)


def _redact_json(
    value: Any,  # noqa: ANN401 any JSON
    redact: Callable[[str], str],
    name: str = "",
    levels: int = _MAX_DEPTH,
) -> Any:  # noqa: ANN401 any JSON
    """Return a JSON value with secrets masked; `redact` masks those in a string.

    A value is also masked if its name is that of a secret, or if it is nested too deeply.
    """
    if levels == 0 and isinstance(value, dict | list | str):
        return MASK
    if isinstance(value, dict):
        names = {key: key for key in value} | _name_values(value)
        return {
            redact(key): _redact_json(item, redact, names[key], levels - 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_redact_json(item, redact, name, levels - 1) for item in value]
    if isinstance(value, str):
        return MASK if value and SECRET_KEY.search(name) else redact(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return MASK if is_number and SECRET_NUMBER_KEY.search(name) else value


def _name_values(value: dict[str, Any]) -> dict[str, str]:
    """Return the name of `value` in an object with `name` or `key`, as of environment variables."""
    for field in ("name", "key"):
        name = value.get(field)
        if isinstance(name, str):
            return {"value": name}
    return {}


STRICT_DIALECTS = frozenset({"postgres", "redshift"})
"""SQL dialects, as dlt and sqlglot name them, of databases that reject NUL and lone surrogates."""

_NUL, _REPLACEMENT = "\x00", "\ufffd"
_SUSPECT = r"\\u(0000|[dD][89a-fA-F])"
# Escapes are matched from left to right, so that `u0000` after an escaped backslash is not matched.
_ESCAPE = re.compile(
    r"(?P<valid>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<invalid>\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)


def replace_unstorable(
    batch: Mapping[str, pa.Table], specs: Mapping[str, TableSpec]
) -> dict[str, pa.Table]:
    """Return the tables with U+FFFD for each character that strict databases reject."""
    return {name: _replace_in_table(rows, specs[name]) for name, rows in batch.items()}


def _replace_in_table(rows: pa.Table, spec: TableSpec) -> pa.Table:
    json_columns = {column.name for column in spec.columns if column.is_json}
    for index, name in enumerate(rows.column_names):
        if rows.schema.types[index] == pa.string():
            replace = _replace_in_json if name in json_columns else _replace_in_text
            rows = rows.set_column(index, rows.schema.field(index), replace(rows.column(index)))
    return rows


def _replace_in_text(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring(texts, _NUL)).as_py():
        return texts
    return pc.replace_substring(texts, _NUL, _REPLACEMENT)


def _replace_in_json(documents: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring_regex(documents, _SUSPECT)).as_py():
        return documents
    cleaned = [None if text is None else _replace_escapes(text) for text in documents.to_pylist()]
    return pa.chunked_array([pa.array(cleaned, pa.string())])


def _replace_escapes(document: str) -> str:
    return _ESCAPE.sub(lambda match: r"\ufffd" if match["invalid"] else match[0], document)
