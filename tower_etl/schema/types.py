"""What a column is, and short ways to write one down."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

TEXT = pa.string()
INTEGER = pa.int64()
NUMBER = pa.float64()
BOOLEAN = pa.bool_()
TIMESTAMP = pa.timestamp("us", "UTC")

LOCAL = "tower-etl"

_REFERENCE = re.compile(r"\(`(\w+\.\w+)`\)")


@dataclass(frozen=True)
class ColumnSpec:
    """One column of a table.

    Attributes:
        name: snake_case; a field of a nested object is `parent__child`.
        type: Arrow type; JSON is a string with `is_json`.
        path: Where the value stands in the API record (camelCase keys), empty for our own columns.
        description: One sentence on the meaning.
        unit: Unit of the value, None where it has none.
        source: `ApiObject.field` of the API description, or `tower-etl` for our own.
        is_json: Whether the text is JSON.
        nullable: False for key columns alone.
    """

    name: str
    type: pa.DataType
    path: tuple[str, ...]
    description: str
    unit: str | None
    source: str
    is_json: bool = False
    nullable: bool = True

    @property
    def references(self) -> str | None:
        """The key that the column names, where its description ends it with (`table.column`)."""
        found = _REFERENCE.search(self.description)
        return found[1] if found else None

    @property
    def can_hold_secrets(self) -> bool:
        """Whether secrets are looked for: in all text but keys, which must stay what they are."""
        return self.type == TEXT and self.nullable


@dataclass(frozen=True)
class ApiObject:
    """An object of the API description; each method writes down the column of one of its fields.

    Attributes:
        name: Name of the schema in the API description.
        path: Where the object stands in the record, empty for the record itself.
        prefix: False where the fields of a nested object go without the `parent__` in their name.
    """

    name: str
    path: tuple[str, ...] = ()
    prefix: bool = True

    def text(
        self, field: str, description: str, unit: str | None = None, *, key: bool = False
    ) -> ColumnSpec:
        """Text; `key` marks a key column, which is never null."""
        return self._column(field, TEXT, description, unit, key=key)

    def integer(
        self, field: str, description: str, unit: str | None = None, *, key: bool = False
    ) -> ColumnSpec:
        """A 64-bit integer, without a unit only if it is an identifier or a code."""
        return self._column(field, INTEGER, description, unit, key=key)

    def number(self, field: str, description: str, unit: str) -> ColumnSpec:
        """A 64-bit float."""
        return self._column(field, NUMBER, description, unit)

    def boolean(self, field: str, description: str) -> ColumnSpec:
        """True or false."""
        return self._column(field, BOOLEAN, description, None)

    def timestamp(self, field: str, description: str) -> ColumnSpec:
        """A point in time, UTC, to the microsecond."""
        return self._column(field, TIMESTAMP, description, "UTC")

    def json(self, field: str, description: str) -> ColumnSpec:
        """A list or an object, as JSON text."""
        return self._column(field, TEXT, description, None, is_json=True)

    def _column(  # noqa: PLR0913 - one argument for each thing that differs between columns
        self,
        field: str,
        kind: pa.DataType,
        description: str,
        unit: str | None,
        *,
        is_json: bool = False,
        key: bool = False,
    ) -> ColumnSpec:
        path = (*self.path, field)
        return ColumnSpec(
            name="__".join(to_snake_case(part) for part in (path if self.prefix else path[-1:])),
            type=kind,
            path=path,
            description=description,
            unit=unit,
            source=f"{self.name}.{field}",
            is_json=is_json,
            nullable=not key,
        )


def local_column(  # noqa: PLR0913 - one argument for each thing that differs between columns
    name: str,
    kind: pa.DataType,
    description: str,
    unit: str | None = None,
    *,
    is_json: bool = False,
    key: bool = False,
) -> ColumnSpec:
    """A column of ours, which no field of the API fills."""
    return ColumnSpec(name, kind, (), description, unit, LOCAL, is_json=is_json, nullable=not key)


def workflow_id() -> ColumnSpec:
    """The run that a row belongs to, given by the call that fetched it."""
    return local_column(
        "workflow_id", TEXT, "Run that the row belongs to (`workflows.id`).", key=True
    )


def workspace_id(
    description: str = "Workspace of the row (`workspaces.id`); null is the personal workspace.",
) -> ColumnSpec:
    """The workspace that a row belongs to, given by the call that fetched it."""
    return local_column("workspace_id", INTEGER, description)


def missing_since() -> ColumnSpec:
    """When a complete list first lacked what a row speaks of; only such a list sets it."""
    return local_column(
        "missing_since",
        TIMESTAMP,
        "Since when the platform no longer lists it; null while it does.",
        "UTC",
    )


def undocumented() -> ColumnSpec:
    """Where everything goes that arrives and has no column."""
    return local_column(
        "undocumented",
        TEXT,
        "Fields of the API record that no column takes, and values that do not fit the type of"
        " their column, by dotted API name; null where there are none.",
        is_json=True,
    )


def to_snake_case(name: str) -> str:
    """The API's camelCase name in snake_case: `peakRss` becomes `peak_rss`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
