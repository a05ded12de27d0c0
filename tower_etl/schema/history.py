"""History tables (SCD2) of reference data: `workspaces_history` and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import TIMESTAMP, local_column

if TYPE_CHECKING:
    from tower_etl.schema.types import ColumnSpec

# Changes of these columns open no version: `last_used` changes with every run, and `undocumented`
# with every upgrade of the server.
_UNTRACKED = frozenset({"last_used", "undocumented"})
# It is unknown whether a run updates this column; changes of settings are in other columns.
_TOUCHED = frozenset({("compute_envs", "last_updated")})
_IMAGE_COLUMNS = ("avatar", "avatar_url", "icon", "logo_url")


def history_table(table: TableSpec) -> TableSpec:
    """Return the history table of a table, with one row per version of each row."""
    kept = tuple(column for column in table.columns if column.name != "missing_since")
    return TableSpec(
        name=f"{table.name}_history",
        key=(*table.key, "valid_from"),
        columns=(
            *kept,
            local_column(
                "valid_from",
                TIMESTAMP,
                "Valid from: start of the first sync that observed this version.",
                "UTC",
                key=True,
            ),
            local_column(
                "valid_to",
                TIMESTAMP,
                "Valid to: start of the first sync that observed a different version or a deletion;"
                " null for the current version.",
                "UTC",
            ),
        ),
        description=f"Versions of the rows of `{table.name}`; current versions have no `valid_to`.",
        grain=f"{table.grain.removesuffix('.')} and version.",
        source=table.source,
    )


def tracked_columns(table: TableSpec) -> tuple[ColumnSpec, ...]:
    """Return the columns of a table whose change opens a new version."""
    return tuple(
        column
        for column in table.columns
        if column.name not in _UNTRACKED | {"missing_since"}
        and (table.name, column.name) not in _TOUCHED
        and not column.name.endswith(_IMAGE_COLUMNS)
    )
