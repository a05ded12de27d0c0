"""Column specifications, and factories that define columns of API objects."""

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
    """Specification of a column.

    Attributes:
        name: snake_case; a field of a nested object is `parent__child`.
        type: Arrow type; JSON is a string with `is_json`.
        path: Path of the value in the API record (camelCase keys), empty for local columns.
        description: Meaning of the column, in one sentence.
        unit: Unit of the value, None without one; `UTC` for timestamps.
        source: `ApiObject.field` of the API description, or `tower-etl` for local columns.
        is_json: Whether the text is JSON.
        nullable: False for key columns only.
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
        """Key that the column references: `table.column` in parentheses in the description."""
        found = _REFERENCE.search(self.description)
        return found[1] if found else None

    @property
    def can_hold_secrets(self) -> bool:
        """Whether the column is searched for secrets: all text except keys."""
        return self.type == TEXT and self.nullable


@dataclass(frozen=True)
class ApiObject:
    """Schema of an object in the API description; each method defines the column of a field.

    Attributes:
        name: Name of the schema in the API description.
        path: Path of the object in the record, empty for the record itself.
        prefix: Whether the column names of a nested object start with `parent__`.
    """

    name: str
    path: tuple[str, ...] = ()
    prefix: bool = True

    def text(
        self, field: str, description: str, unit: str | None = None, *, key: bool = False
    ) -> ColumnSpec:
        """Return a text column; `key` marks a key column, which is never null."""
        return self._column(field, TEXT, description, unit, key=key)

    def integer(
        self, field: str, description: str, unit: str | None = None, *, key: bool = False
    ) -> ColumnSpec:
        """Return a column of 64-bit integers; only identifiers and codes have no unit."""
        return self._column(field, INTEGER, description, unit, key=key)

    def number(self, field: str, description: str, unit: str) -> ColumnSpec:
        """Return a column of 64-bit floats."""
        return self._column(field, NUMBER, description, unit)

    def boolean(self, field: str, description: str) -> ColumnSpec:
        """Return a boolean column."""
        return self._column(field, BOOLEAN, description, None)

    def timestamp(self, field: str, description: str) -> ColumnSpec:
        """Return a column of UTC timestamps with microsecond precision."""
        return self._column(field, TIMESTAMP, description, "UTC")

    def json(self, field: str, description: str) -> ColumnSpec:
        """Return a column of JSON text."""
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
    """Return a local column, whose values come from tower-etl and not from a field of the API."""
    return ColumnSpec(name, kind, (), description, unit, LOCAL, is_json=is_json, nullable=not key)


def workflow_id() -> ColumnSpec:
    """Return the column of the run of a row, known from the request."""
    return local_column(
        "workflow_id", TEXT, "Run that the row belongs to (`workflows.id`).", key=True
    )


def workspace_id(
    description: str = "Workspace of the row (`workspaces.id`); null for the personal workspace.",
) -> ColumnSpec:
    """Return the column of the workspace of a row, known from the request."""
    return local_column("workspace_id", INTEGER, description)


def missing_since() -> ColumnSpec:
    """Return the column of the first sync whose complete list did not contain a row's entity."""
    return local_column(
        "missing_since",
        TIMESTAMP,
        "Start of the first sync whose complete list lacked the entity; null while it is listed.",
        "UTC",
    )


def undocumented() -> ColumnSpec:
    """Return the column of undocumented fields and invalid values."""
    return local_column(
        "undocumented",
        TEXT,
        "Fields of the API record without a column, and values that do not fit the type of their"
        " column, a JSON object by dotted API name; null if there are none.",
        is_json=True,
    )


def to_snake_case(name: str) -> str:
    """Convert a camelCase name of the API to snake_case: `peakRss` becomes `peak_rss`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
