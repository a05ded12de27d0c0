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
TYPES = {
    "text": TEXT,
    "integer": INTEGER,
    "number": NUMBER,
    "boolean": BOOLEAN,
    "timestamp": TIMESTAMP,
}
"""Types of columns by the name in the data dictionary, which calls text with JSON `json`."""

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
    def type_name(self) -> str:
        """Name of the type in the data dictionary."""
        names = (name for name, kind in TYPES.items() if kind == self.type)
        return "json" if self.is_json else next(names)

    @property
    def can_hold_secrets(self) -> bool:
        """Whether the column is searched for secrets: all text except keys."""
        return self.type == TEXT and self.nullable


def to_snake_case(name: str) -> str:
    """Convert a camelCase name of the API to snake_case: `peakRss` becomes `peak_rss`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


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

    def text(self, field: str, description: str, *, key: bool = False) -> ColumnSpec:
        """Return a text column; `key` marks a key column, which is never null."""
        return self._column(field, TEXT, description, key=key)

    def integer(
        self,
        field: str,
        description: str,
        unit: str | None = None,
        *,
        key: bool = False,
        name: str = "",
    ) -> ColumnSpec:
        """Return a column of 64-bit integers; only identifiers and codes have no unit."""
        return self._column(field, INTEGER, description, unit, key=key, name=name)

    def number(self, field: str, description: str, unit: str) -> ColumnSpec:
        """Return a column of 64-bit floats."""
        return self._column(field, NUMBER, description, unit)

    def boolean(self, field: str, description: str) -> ColumnSpec:
        """Return a boolean column."""
        return self._column(field, BOOLEAN, description)

    def timestamp(self, field: str, description: str, *, key: bool = False) -> ColumnSpec:
        """Return a column of UTC timestamps with microsecond precision."""
        return self._column(field, TIMESTAMP, description, "UTC", key=key)

    def json(self, field: str, description: str, unit: str | None = None) -> ColumnSpec:
        """Return a column of JSON text."""
        return self._column(field, TEXT, description, unit, is_json=True)

    def workspace_of(self, entity: str) -> ColumnSpec:
        """Return the column of an entity's workspace."""
        return self.integer(
            "workspaceId",
            f"Workspace of the {entity} (`workspaces.id`); null for the personal workspace.",
        )

    def created_and_updated(self, entity: str) -> tuple[ColumnSpec, ColumnSpec]:
        """Return the columns of the times at which an entity was created and last changed."""
        return (
            self.timestamp("dateCreated", f"Time at which the {entity} was created."),
            self.timestamp("lastUpdated", f"Time of the last change of the {entity}."),
        )

    def _column(  # noqa: PLR0913 - one argument for each thing that differs between columns
        self,
        field: str,
        kind: pa.DataType,
        description: str,
        unit: str | None = None,
        *,
        is_json: bool = False,
        key: bool = False,
        name: str = "",
    ) -> ColumnSpec:
        path = (*self.path, field)
        parts = path if self.prefix else path[-1:]
        return ColumnSpec(
            name=name or "__".join(map(to_snake_case, parts)),
            type=kind,
            path=() if self is LOCAL else path,
            description=description,
            unit=unit,
            source=self.name if self is LOCAL else f"{self.name}.{field}",
            is_json=is_json,
            nullable=not key,
        )


LOCAL = ApiObject("tower-etl")
"""Each method defines a local column, whose values come from tower-etl."""

WORKFLOW_ID = LOCAL.text("workflow_id", "Run that the row belongs to (`workflows.id`).", key=True)
WORKSPACE_ID = LOCAL.workspace_of("row")
MISSING_SINCE = LOCAL.timestamp(
    "missing_since",
    "Start of the first sync whose complete list lacked the entity; null while it is listed.",
)
UNDOCUMENTED = LOCAL.json(
    "undocumented",
    "Fields of the API record without a column, and values that do not fit the type of their"
    " column, a JSON object by dotted API name; null if there are none.",
)
