"""Redaction of secrets in the text columns of a batch.

Clean text costs one pass of RE2 over the buffers of the columns; the patterns are applied only to
rows that match the prefilter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.lossless import load_json, to_json
from tower_etl.redaction import (
    EMAIL,
    MASK,
    PATTERNS,
    SECRET_KEY,
    SECRET_NUMBER_KEY,
    build_prefilter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tower_etl.redaction import Pattern
    from tower_etl.schema.table import TableSpec
    from tower_etl.schema.types import ColumnSpec

_MAX_DEPTH = 100  # levels of JSON, far below Python's recursion limit


@dataclass(frozen=True)
class Redactor:
    """Redactor of secrets in the columns that can contain them.

    Attributes:
        patterns: Patterns of the secrets to mask.
    """

    patterns: tuple[Pattern, ...] = PATTERNS

    @classmethod
    def of(cls, *, emails: bool) -> Redactor:
        """Return a redactor of secrets, and of e-mail addresses if `emails` is true."""
        return cls((*PATTERNS, EMAIL)) if emails else cls()

    @cached_property
    def _prefilter(self) -> str:
        return build_prefilter(self.patterns)

    def redact(
        self, batch: Mapping[str, pa.Table], specs: Mapping[str, TableSpec]
    ) -> dict[str, pa.Table]:
        """Return the tables with secrets masked; key columns are not changed.

        Args:
            batch: Rows by table.
            specs: Tables by name.
        """
        tables = dict(batch)
        for name, column in self._find_candidates(tables, specs):
            rows = tables[name]
            index = rows.schema.get_field_index(column.name)
            arrays = [self._clean_array(part, column) for part in _join(rows.column(index))]
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

    def _clean_array(self, array: pa.Array, column: ColumnSpec) -> pa.Array:
        hits = pc.fill_null(pc.match_substring_regex(array, self._prefilter), fill_value=False)
        found = array.filter(hits)
        if not len(found):
            return array
        clean = self._clean_json if column.is_json else self._clean_texts
        return pc.replace_with_mask(array, hits, clean(found))

    def _clean_texts(self, texts: pa.Array) -> pa.Array:
        for pattern in self.patterns:
            texts = pc.replace_substring_regex(texts, pattern.regex, pattern.replacement)
        return texts

    def _clean_json(self, texts: pa.Array) -> pa.Array:
        """Mask secrets in the values of JSON documents, so that the documents stay valid JSON."""
        values = [load_json(text) for text in texts.to_pylist()]
        found = list(dict.fromkeys(text for value in values for text in _iter_texts(value)))
        cleaned = self._clean_texts(pa.array(found, pa.string())).to_pylist()
        rewriter = _JsonRedactor(dict(zip(found, cleaned, strict=True)).__getitem__)
        return pa.array([to_json(rewriter.rewrite(value)) for value in values], pa.string())


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


def _iter_texts(value: Any, left: int = _MAX_DEPTH) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the strings in a JSON value, including the keys of objects."""
    if left == 0:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _iter_texts(item, left - 1)
    elif isinstance(value, list):
        for item in value:
            yield from _iter_texts(item, left - 1)


@dataclass(frozen=True)
class _JsonRedactor:
    """Redactor of a JSON value.

    Attributes:
        clean: Returns a string with its secrets masked.
    """

    clean: Callable[[str], str]

    def rewrite(self, value: Any, name: str = "", left: int = _MAX_DEPTH) -> Any:  # noqa: ANN401 any JSON
        """Return the value with secrets masked.

        A value is also masked if its name is that of a secret, or if it is nested too deeply.
        """
        if left == 0 and isinstance(value, dict | list | str):
            return MASK
        if isinstance(value, dict):
            names = {k: k for k in value} | _name_values(value)
            return {self.clean(k): self.rewrite(v, names[k], left - 1) for k, v in value.items()}
        if isinstance(value, list):
            return [self.rewrite(item, name, left - 1) for item in value]
        return self._rewrite_leaf(value, name)

    def _rewrite_leaf(self, value: Any, name: str) -> Any:  # noqa: ANN401 any JSON
        if isinstance(value, str):
            return MASK if value and SECRET_KEY.search(name) else self.clean(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return MASK if SECRET_NUMBER_KEY.search(name) else value
        return value


def _name_values(value: dict[str, Any]) -> dict[str, str]:
    """Return the name of `value` in an object with `name` or `key`, as of environment variables."""
    for field in ("name", "key"):
        name = value.get(field)
        if isinstance(name, str):
            return {"value": name}
    return {}
