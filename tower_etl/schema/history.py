"""How slow entities were at any time: `workspaces_history` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import TIMESTAMP, local_column

if TYPE_CHECKING:
    from tower_etl.schema.types import ColumnSpec

# What moves by itself opens no version, nor does what a server begins to send one day.
_UNTRACKED = frozenset({"last_used", "undocumented"})
# Whether a run that uses the environment moves it is not known; what changes is in other columns.
_TOUCHED = frozenset({("compute_envs", "last_updated")})
_IMAGE_COLUMNS = ("avatar", "avatar_url", "icon", "logo_url")


def history_table(table: TableSpec) -> TableSpec:
    """The table of the versions of an entity."""
    kept = tuple(column for column in table.columns if column.name != "missing_since")
    return TableSpec(
        name=f"{table.name}_history",
        key=(*table.key, "valid_from"),
        columns=(
            *kept,
            local_column(
                "valid_from",
                TIMESTAMP,
                "Start of the sync that first found it so.",
                "UTC",
                key=True,
            ),
            local_column(
                "valid_to", TIMESTAMP, "Start of the sync that found it no longer so.", "UTC"
            ),
        ),
        description=f"Versions of the rows of `{table.name}`; `valid_to` is null for today's.",
        grain=f"{table.grain.removesuffix('.')} and version of it.",
        source=table.source,
    )


def tracked_columns(table: TableSpec) -> tuple[ColumnSpec, ...]:
    """The columns of an entity whose change opens a version."""
    return tuple(
        column
        for column in table.columns
        if column.name not in _UNTRACKED | {"missing_since"}
        and (table.name, column.name) not in _TOUCHED
        and not column.name.endswith(_IMAGE_COLUMNS)
    )
