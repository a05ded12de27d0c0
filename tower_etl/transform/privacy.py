"""Privacy settings applied to rows: promotion, exclusion, digests and redaction.

The steps are idempotent, because rows that a sync reads back from the destination and loads again
pass them twice.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.transform.column_selection import check_hashable, find_column, select_columns
from tower_etl.transform.promote import (
    fill_promoted,
    promote_fields,
    read_extras,
    write_extras,
)
from tower_etl.transform.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.config.settings import PrivacySettings
    from tower_etl.schema.table import TableSpec
    from tower_etl.schema.types import ColumnSpec
    from tower_etl.transform.column_selection import ColumnSet


_DIGEST = re.compile(r'"?hash:[0-9a-f]{32}"?')


@dataclass(frozen=True)
class ColumnPolicy:
    """Privacy settings resolved against the tables.

    Attributes:
        specs: Tables by name, including promoted columns.
        excluded: Columns that are left empty, as pairs of table and column name.
        hashed: Columns whose values are replaced by digests, as pairs of table and column name.
        redactor: Masks secrets, None to keep them.
        salt: Key of the digests.
        is_strict: Whether the destination rejects characters such as NUL (`STRICT_DIALECTS`).
    """

    specs: Mapping[str, TableSpec]
    excluded: ColumnSet = frozenset()
    hashed: ColumnSet = frozenset()
    redactor: Redactor | None = field(default_factory=Redactor)
    salt: bytes = field(default=b"", repr=False)
    is_strict: bool = False

    @classmethod
    def from_settings(
        cls, privacy: PrivacySettings, tables: Mapping[str, TableSpec], dialect: str = ""
    ) -> ColumnPolicy:
        """Resolve privacy settings against tables.

        Args:
            privacy: Privacy settings.
            tables: All tables by name.
            dialect: SQL dialect of the destination; empty if it can store any text.

        Raises:
            ConfigurationError: A column is unknown, required by syncs, or cannot be hashed.
        """
        specs = promote_fields(privacy.promoted, tables)
        hashed = select_columns(privacy.hashed, specs)
        check_hashable(hashed, specs)
        return cls(
            specs,
            select_columns(privacy.excluded, specs),
            hashed,
            Redactor.of(emails=privacy.emails) if privacy.redact else None,
            privacy.salt.encode(),
            dialect in STRICT_DIALECTS,
        )

    def apply(self, batch: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """Return the rows by table after promotion, exclusion, hashing and redaction."""
        tables = {
            name: self._apply_to_table(rows, self.specs[name]) for name, rows in batch.items()
        }
        if self.redactor:
            tables = self.redactor.redact(tables, self.specs)
        return replace_unstorable(tables, self.specs) if self.is_strict else tables

    @cached_property
    def _hidden(self) -> dict[str, list[ColumnSpec]]:
        """Excluded and hashed columns by table name."""
        hidden: dict[str, list[ColumnSpec]] = {}
        for table, name in sorted(self.excluded | self.hashed):
            hidden.setdefault(table, []).append(find_column(self.specs[table], name))
        return hidden

    def _apply_to_table(self, rows: pa.Table, table: TableSpec) -> pa.Table:
        rows = fill_promoted(rows, table)
        hidden = self._hidden.get(table.name, [])
        for column in hidden:
            index = rows.schema.get_field_index(column.name)
            rows = rows.set_column(index, rows.schema.field(index), self._mask(rows, table, column))
        return _drop_masked_extras(rows, hidden)

    def _mask(self, rows: pa.Table, table: TableSpec, column: ColumnSpec) -> pa.Array:
        if (table.name, column.name) in self.excluded:
            return pa.nulls(rows.num_rows, column.type)
        # Each distinct value is hashed once: names repeat in thousands of rows.
        encoded = pc.dictionary_encode(rows[column.name].combine_chunks())
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        digests = [self._digest(text, column) for text in encoded.dictionary.to_pylist()]
        return pa.array(digests, column.type).take(encoded.indices)

    def _digest(self, text: str, column: ColumnSpec) -> str:
        if _DIGEST.fullmatch(text):
            return text
        digest = f"hash:{hmac.digest(self.salt, text.encode(), 'sha256').hex()[:32]}"
        return f'"{digest}"' if column.is_json else digest


def _drop_masked_extras(rows: pa.Table, hidden: list[ColumnSpec]) -> pa.Table:
    """Remove values of hidden columns from `undocumented`, which keeps those of a wrong type."""
    if not hidden or "undocumented" not in rows.schema.names:
        return rows
    if rows["undocumented"].null_count == rows.num_rows:
        return rows
    names = {".".join(column.path) for column in hidden}
    extras = [{k: v for k, v in s.items() if k not in names} for s in read_extras(rows)]
    return write_extras(rows, extras)


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
    """Return the tables with U+FFFD for each character that strict databases reject.

    Args:
        batch: Rows by table.
        specs: Tables by name, whose columns distinguish JSON from other text.
    """
    return {name: _clean_table(rows, specs[name]) for name, rows in batch.items()}


def _clean_table(rows: pa.Table, spec: TableSpec) -> pa.Table:
    json_columns = {column.name for column in spec.columns if column.is_json}
    for index, name in enumerate(rows.column_names):
        if rows.schema.types[index] == pa.string():
            clean = _clean_json if name in json_columns else _clean_text
            rows = rows.set_column(index, rows.schema.field(index), clean(rows.column(index)))
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
