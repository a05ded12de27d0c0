"""Secrets in columns: found by one look at all the text of a batch, and blotted out where they are.

Clean text costs one pass of RE2 over the buffers of the columns; only rows in which something looks
like a secret are gone through pattern by pattern.
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

_MAX_DEPTH = 100  # levels of JSON, far from where Python gives up


@dataclass(frozen=True)
class Redactor:
    """Takes secrets out of the columns that can hold them.

    Attributes:
        patterns: What is taken out.
    """

    patterns: tuple[Pattern, ...] = PATTERNS

    @classmethod
    def of(cls, *, emails: bool) -> Redactor:
        """Of secrets, and of e-mail addresses where they are to go, too."""
        return cls((*PATTERNS, EMAIL)) if emails else cls()

    @cached_property
    def _sign(self) -> str:
        return build_prefilter(self.patterns)

    def redact(
        self, batch: Mapping[str, pa.Table], specs: Mapping[str, TableSpec]
    ) -> dict[str, pa.Table]:
        """The tables without secrets; keys stay as they are.

        Args:
            batch: Rows by table.
            specs: What their columns are.
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
        """The columns in whose text a secret may be, by one look at all of it."""
        looked = [
            (name, column, whole)
            for name, rows in tables.items()
            for column in specs[name].columns
            if column.can_hold_secrets
            for whole in _iter_buffers(rows.column(column.name))
        ]
        if not looked:
            return []
        found = pc.match_substring_regex(pa.concat_arrays([w for *_, w in looked]), self._sign)
        marked = zip(looked, found.to_pylist(), strict=True)
        return list(dict.fromkeys((name, column) for (name, column, _), hit in marked if hit))

    def _clean_array(self, array: pa.Array, column: ColumnSpec) -> pa.Array:
        hits = pc.fill_null(pc.match_substring_regex(array, self._sign), fill_value=False)
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
        """Of JSON, the values are cleaned and not the text, so that it stays JSON."""
        values = [load_json(text) for text in texts.to_pylist()]
        found = list(dict.fromkeys(text for value in values for text in _iter_texts(value)))
        cleaned = self._clean_texts(pa.array(found, pa.string())).to_pylist()
        rewriter = _JsonRedactor(dict(zip(found, cleaned, strict=True)).__getitem__)
        return pa.array([to_json(rewriter.rewrite(value)) for value in values], pa.string())


def _iter_buffers(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """All the text of a column as one text, or as a few where it is beyond 2 GB."""
    for chunk in _join(column):
        text = chunk.buffers()[2]
        if text is not None and text.size:
            bounds = pa.array([0, text.size], pa.int64()).buffers()[1]
            yield pa.LargeStringArray.from_buffers(1, bounds, text)


def _join(column: pa.ChunkedArray) -> list[pa.Array]:
    whole = column.combine_chunks()
    return list(whole.chunks) if isinstance(whole, pa.ChunkedArray) else [whole]


def _iter_texts(value: Any, left: int = _MAX_DEPTH) -> Iterator[str]:  # noqa: ANN401 - JSON
    """The texts in a JSON value, names of fields among them."""
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
    """Puts clean texts into a JSON value."""

    clean: Callable[[str], str]

    def rewrite(self, value: Any, name: str = "", left: int = _MAX_DEPTH) -> Any:  # noqa: ANN401 any JSON
        """The value; what its name says is secret goes whatever it is, and what is too deep."""
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
    """What a `value` is called where its name stands beside it, as environment variables are."""
    for field in ("name", "key"):
        name = value.get(field)
        if isinstance(name, str):
            return {"value": name}
    return {}
