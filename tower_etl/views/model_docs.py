"""Documentation of views and their columns, from the YAML files beside the views, as in dbt."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tower_etl.schema import ColumnSpec

# Ten times as fast, if libyaml is installed.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class ColumnDocs:
    """Documentation of a column of a view.

    Attributes:
        description: Meaning of the column.
        unit: Unit of the values; empty if they have none.
        type_name: SQL type; given for the columns of seeds only.
    """

    description: str
    unit: str = ""
    type_name: str = "TEXT"


@dataclass(frozen=True)
class ModelDocs:
    """Documentation of a view.

    Attributes:
        description: Question that the view answers, in one sentence.
        details: Further information for readers; empty if there is none.
        grain: Meaning of one row.
        columns: Columns by name, in the order of the view.
    """

    description: str = ""
    details: str = ""
    grain: str = ""
    columns: Mapping[str, ColumnDocs] = field(default_factory=dict)

    @property
    def comment(self) -> str:
        """Comment on the view in the database: description, grain and details."""
        grain = f"Grain: {self.grain}." if self.grain else ""
        return " ".join(part for part in (self.description, grain, self.details) if part)

    @property
    def column_comments(self) -> dict[str, str]:
        """Comments on the columns in the database: meaning and unit, by name."""
        return {name: describe_column(docs) for name, docs in self.columns.items()}


def describe_column(column: ColumnDocs | ColumnSpec) -> str:
    """Return the description of a column with its unit."""
    return f"{column.description} Unit: {column.unit}." if column.unit else column.description


@cache
def read_docs(path: Path) -> ModelDocs:
    """Return the documentation in the file of a view; empty if there is no file."""
    if not path.is_file():
        return ModelDocs()
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 a safe loader
    (model,) = content.get("models") or content["seeds"]
    meta = model.get("meta", {})
    return ModelDocs(
        description=_join(model["description"]),
        details=_join(meta.get("details", "")),
        grain=_join(meta.get("grain", "")),
        columns={column["name"]: _read_column(column) for column in model["columns"]},
    )


def _read_column(column: Mapping[str, Any]) -> ColumnDocs:
    unit = column.get("meta", {}).get("unit", "")
    type_name = column.get("data_type", "TEXT")
    return ColumnDocs(_join(column["description"]), unit, type_name)


def _join(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())
