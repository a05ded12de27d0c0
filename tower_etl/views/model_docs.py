"""The YAML files beside the views, in the form of dbt: what a view and its columns mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


@dataclass(frozen=True)
class ColumnDocs:
    """One column of a view.

    Attributes:
        description: Its meaning.
        unit: Its unit, empty where it has none.
        type_name: Its SQL type; only seeds name it.
    """

    description: str
    unit: str = ""
    type_name: str = "TEXT"


@dataclass(frozen=True)
class ModelDocs:
    """One view.

    Attributes:
        description: What it answers, in one sentence.
        details: What else a reader must know, empty where there is nothing.
        grain: What one row is.
        columns: By name, in the order of the view.
    """

    description: str = ""
    details: str = ""
    grain: str = ""
    columns: Mapping[str, ColumnDocs] = field(default_factory=dict)

    @property
    def comment(self) -> str:
        """Description, grain and details, for the database."""
        grain = f"Grain: {self.grain}." if self.grain else ""
        return " ".join(part for part in (self.description, grain, self.details) if part)

    @property
    def column_comments(self) -> dict[str, str]:
        """Meaning and unit of each column, for the database."""
        return {
            name: f"{docs.description} Unit: {docs.unit}." if docs.unit else docs.description
            for name, docs in self.columns.items()
        }

    @property
    def types(self) -> dict[str, str]:
        """SQL type of each column of a seed."""
        return {name: docs.type_name for name, docs in self.columns.items()}


@cache
def read_docs(path: Path) -> ModelDocs:
    """Return what the file of a view says; empty docs where there is no file."""
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
