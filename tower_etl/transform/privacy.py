"""Privacy settings applied to rows: promotion, exclusion, digests and redaction.

The steps are idempotent, because rows that a sync reads back from the destination and loads again
pass them twice.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.errors import ConfigurationError
from tower_etl.redaction import EMAIL, PATTERNS
from tower_etl.schema.types import TEXT
from tower_etl.transform.promote import fill_promoted, promote_fields, read_extras, write_extras
from tower_etl.transform.redact import STRICT_DIALECTS, Redactor, replace_unstorable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.config.settings import PrivacySettings
    from tower_etl.schema.table import TableSpec
    from tower_etl.schema.types import ColumnSpec

    ColumnSet = frozenset[tuple[str, str]]


_DIGEST = re.compile(r'"?hash:[0-9a-f]{32}"?')
STATE_COLUMNS = frozenset(
    {"id", "submit", "date_created", "status", "last_updated", "complete", "starred"}
)
"""Columns of `workflows` that a reconciliation reads to detect changed runs."""


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
        """Resolve privacy settings against all tables.

        The dialect of the destination's SQL is empty if the destination can store any text.

        Raises:
            ConfigurationError: A column is unknown, required by syncs, or cannot be hashed.
        """
        specs = promote_fields(privacy.promoted, tables)
        hashed = _select_columns(privacy.hashed, specs)
        _check_hashable(hashed, specs)
        redactor = Redactor((*PATTERNS, EMAIL)) if privacy.emails else Redactor()
        return cls(
            specs,
            _select_columns(privacy.excluded, specs),
            hashed,
            redactor if privacy.redact else None,
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


def _select_columns(names: Iterable[str], tables: Mapping[str, TableSpec]) -> ColumnSet:
    """Return the columns with the given names: `table.column`, or `column` in all tables.

    The name of a column in a table also selects it in the table's history.
    """
    chosen = set()
    for table, name in chain.from_iterable(_find(name, tables) for name in names):
        if is_required(tables[table], find_column(tables[table], name)):
            msg = (
                f"{table}.{name} can be neither excluded nor hashed: it is a key, or syncs need it "
                "to detect changes. To select a column of one table, use the form table.column."
            )
            raise ConfigurationError(msg)
        chosen.add((table, name))
    return frozenset(chosen)


def _check_hashable(chosen: ColumnSet, tables: Mapping[str, TableSpec]) -> None:
    """Check that columns can hold digests: text columns except `undocumented`, which is parsed."""
    for table, name in sorted(chosen):
        kind = find_column(tables[table], name).type
        if kind != TEXT or name == "undocumented":
            reason = "" if kind == TEXT else f": expected a text column, but its type is {kind}"
            msg = f"{table}.{name} cannot be hashed{reason}. Exclude it instead."
            raise ConfigurationError(msg)


def find_column(table: TableSpec, name: str) -> ColumnSpec:
    """Return the column with a name."""
    return next(column for column in table.columns if column.name == name)


def is_required(table: TableSpec, column: ColumnSpec) -> bool:
    """Return whether a sync requires the column's values: keys, local columns, state columns."""
    is_local = not column.path and column.name != "undocumented"
    is_state = table.name == "workflows" and column.name in STATE_COLUMNS
    return is_local or is_state or column.name in {*table.key, "workspace_id"}


def _find(name: str, tables: Mapping[str, TableSpec]) -> list[tuple[str, str]]:
    table, _, column = name.strip().rpartition(".")
    candidates = {table, f"{table}_history"} & tables.keys() if table else tables.keys()
    columns = [(one, column) for one in candidates if column in tables[one].arrow_schema.names]
    if columns:
        return columns
    full = [f"{spec.name}.{one.name}" for spec in tables.values() for one in spec.columns]
    spellings = full if "." in name else sorted({name.partition(".")[2] for name in full})
    close = get_close_matches(name, spellings, n=4, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else "See docs/data-dictionary.md."
    msg = f"No column {name!r}. {hint}"
    raise ConfigurationError(msg)
