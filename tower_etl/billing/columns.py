"""Lookup of export columns by normalized names, and conversion of an export's tags.

`lineItem/UsageStartDate` in a legacy CSV and `line_item_usage_start_date` in Parquet are the same
normalized name; `ChargePeriodStart` in FOCUS becomes `charge_period_start`.

Tags become one list of keys and values. AWS exports them as a map, as a list of pairs or as one
column per tag; in a CSV, a map is JSON. Exports add the prefix `user_` or `user:` to the
platform's resource labels and may change their case, so keys are compared in snake_case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.text import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FIELDS = ("run_id", "task_hash", "compute_env")
_PREFIXES = ("", "user_", "user_labels_", "labels_")
_NO_ENTRIES = "CAST([] AS STRUCT(key VARCHAR, value VARCHAR)[])"


def normalize_name(name: str) -> str:
    """Return the name of a column or tag in snake_case, with `_` for every other character."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


@dataclass
class ExportColumns:
    """The columns of one file, and the set of those that an expression uses.

    Attributes:
        types: DuckDB's type of each column, by its name in the file.
        used: Names (in the file) of the columns that appear in an expression.
    """

    types: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Index the columns by normalized name; the first of several equal names wins."""
        self._names: dict[str, str] = {}
        for name in self.types:
            self._names.setdefault(normalize_name(name), name)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return the names without a column."""
        return [name for name in names if name not in self._names]

    def matching(self, prefix: str) -> dict[str, str]:
        """Return the quoted names of the columns with a prefix, by the name after the prefix."""
        matches = {
            normalized.removeprefix(prefix): name
            for normalized, name in self._names.items()
            if normalized.startswith(prefix) and normalized != prefix
        }
        self.used.update(matches.values())
        return {suffix: quote_name(name) for suffix, name in matches.items()}

    def type_of(self, name: str) -> str | None:
        """Return the DuckDB type of a column, or None if there is no such column."""
        return self.types.get(self._names.get(name, ""))

    def text(self, *names: str) -> str:
        """Return an expression for the first of these columns that is not empty, as text."""
        return self._first(names, lambda column: f"nullif(trim(CAST({column} AS VARCHAR)), '')")

    def number(self, *names: str) -> str:
        """Return an expression for the first of these columns that is not null, as a number."""
        return self._first(names, lambda column: _cast(column, "DOUBLE"))

    def time(self, *names: str) -> str:
        """Return an expression for the first of these columns that is not null, as a time."""
        return self._first(names, lambda column: _cast(column, "TIMESTAMPTZ"))

    def raw(self, name: str) -> str | None:
        """Return the quoted name of a column, or None if there is no such column."""
        if name not in self._names:
            return None
        self.used.add(self._names[name])
        return quote_name(self._names[name])

    def _first(self, names: Iterable[str], convert: Callable[[str], str]) -> str:
        columns = [column for name in names if (column := self.raw(name))]
        if not columns:
            return "NULL"
        return f"coalesce({', '.join(map(convert, columns))})"

    def unused(self) -> list[str]:
        """Return the columns that no expression uses."""
        return [name for name in self.types if name not in self.used]


def _cast(column: str, kind: str) -> str:
    return f"CAST(nullif(CAST({column} AS VARCHAR), '') AS {kind})"


@dataclass(frozen=True)
class TagMapping:
    """Tags that identify the run, task and compute environment of a line.

    Attributes:
        run_id: Tag with the run id.
        task_hash: Tag with the task hash.
        compute_env: Tag with the name or id of a compute environment or queue. Lines with this tag
            but without a run are allocated to the tasks that ran there. None disables allocation.
    """

    run_id: str = "uniqueRunId"
    task_hash: str = "taskHash"
    compute_env: str | None = None


def parse_mapping(pairs: Iterable[str]) -> TagMapping:
    """Parse the values of `--map`.

    Args:
        pairs: Texts like `run_id=TAG`.

    Raises:
        ConfigurationError: A text has another form.
    """
    tags: dict[str, str] = {}
    for pair in pairs:
        name, separator, tag = (part.strip() for part in pair.partition("="))
        if name not in FIELDS or not separator or not tag:
            msg = f"Invalid --map {pair!r}: expected NAME=TAG, where NAME is {', '.join(FIELDS)}."
            raise ConfigurationError(msg)
        tags[name] = tag
    return TagMapping(**tags)


def entries_of(columns: ExportColumns, name: str) -> str:
    """Return an expression for the tags of a line: a list of structs of key and value.

    Args:
        columns: Columns of the export.
        name: Normalized name of the tags column, or the prefix of the columns for single tags.
    """
    column = columns.raw(name)
    if column is None:
        return _from_columns(columns.matching(f"{name}_"))
    return _from_column(column, columns.type_of(name) or "VARCHAR")


def _from_column(column: str, kind: str) -> str:
    if kind.startswith("MAP"):
        return _transform(f"map_entries({column})", "e.key", "e.value")
    if kind == "VARCHAR[][]":
        return _transform(column, "e[1]", "e[2]")
    if kind.startswith("STRUCT") and kind.endswith("[]"):
        pairs = f"list_transform({column}, lambda e: struct_values(e))"
        return _transform(pairs, "e[1]", "e[2]")
    if kind.startswith("STRUCT"):
        return _from_json(f"CAST(to_json({column}) AS VARCHAR)")
    return _from_json(column)


def _from_json(column: str) -> str:
    """Return the entries of JSON text: an object (Azure omits its braces) or a list of pairs."""
    text = f"trim({column})"
    whole = f"CASE WHEN {text} LIKE '\"%' THEN '{{' || {text} || '}}' ELSE {text} END"
    of_object = f"map_entries(CAST(CAST({whole} AS JSON) AS MAP(VARCHAR, VARCHAR)))"
    of_pairs = f"CAST(CAST({text} AS JSON) AS VARCHAR[][])"
    pairs = _transform(of_pairs, "e[1]", "e[2]")
    return (
        f"CASE WHEN coalesce({text}, '') = '' THEN {_NO_ENTRIES} WHEN {text} LIKE '[%' "
        f"THEN {pairs} ELSE {_transform(of_object, 'e.key', 'e.value')} END"
    )


def _from_columns(columns: Mapping[str, str]) -> str:
    if not columns:
        return _NO_ENTRIES
    structs = ", ".join(
        f"{{'key': {quote_text(key)}, 'value': CAST({column} AS VARCHAR)}}"
        for key, column in columns.items()
    )
    return f"list_filter([{structs}], lambda e: coalesce(e.value, '') <> '')"


def _transform(entries: str, key: str, value: str) -> str:
    made = f"{{'key': CAST({key} AS VARCHAR), 'value': CAST({value} AS VARCHAR)}}"
    return f"coalesce(list_transform({entries}, lambda e: {made}), {_NO_ENTRIES})"


def value_of(entries: str, tag: str | None) -> str:
    """Return an expression for the value of a tag, null for lines without the tag."""
    if tag is None:
        return "NULL"
    normalized = normalize_name(tag)
    spellings = {
        prefix + form for prefix in _PREFIXES for form in (normalized, normalized.replace("_", ""))
    }
    listed = ", ".join(quote_text(spelling) for spelling in sorted(spellings))
    key = "regexp_replace(lower(e.key), '[^a-z0-9]+', '_', 'g')"
    return f"nullif(list_filter({entries}, lambda e: {key} IN ({listed}))[1].value, '')"


def as_json(entries: str) -> str:
    """Return an expression for the tags as a JSON object, null for lines without tags."""
    pairs = f"list_transform({entries}, lambda e: to_json(e.key) || ':' || to_json(e.value))"
    return f"CASE WHEN len({entries}) > 0 THEN '{{' || array_to_string({pairs}, ',') || '}}' END"
