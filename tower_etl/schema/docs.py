"""Data dictionary, generated from the table specifications by `python -m tower_etl.schema.docs`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tower_etl.schema import STORED_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tower_etl.schema import ColumnSpec, TableSpec

_HEAD = """\
# Data dictionary

Generated from the specifications in `tower_etl/schema/` by `make docs`. The same texts are in the
database, as comments on its tables and columns.

| type | in DuckDB | meaning |
|---|---|---|
| text | `VARCHAR` | UTF-8 |
| json | `JSON` | a list or an object |
| integer | `BIGINT` | 64 bits |
| number | `DOUBLE` | 64 bits |
| boolean | `BOOLEAN` | |
| timestamp | `TIMESTAMP WITH TIME ZONE` | UTC, to the microsecond |

The source of a column is `ApiObject.field` of the API's published description; `tower-etl` for
columns that no field of the API fills; `undocumented` for fields that servers send and no version
of the description contains.

The specifications are checked against the API descriptions 1.140.0, 1.181.0 and 1.187.0, the latest
that is published: every field of every response that a sync reads has a column, or a reason in
`tests/tables/test_endpoints.py`. Of later versions, up to 1.200, the names of two fields are known
(`workflows.sched_config__max_spot_attempts` and `sched_config__max_cpus_per_user`). These versions
also add records of agents and of data lineage. No table contains them, because their endpoints are
not published. `GET /platform/versions` lists the Nextflow versions of the launch form, and contains
no data about runs. Fields that a newer server adds to a response are in `undocumented`.
"""

_RELATIONS = """\
## Relations between the tables

The diagram shows keys (PK) and columns that reference the key of another table (FK); the referenced
row may be missing if the token cannot see it. Not shown are the `workspace_id` of rows with a
`workflow_id`, which is the workspace of the run, and the tables `..._history`, whose references are
those of the tables without `_history`.
"""


def render_dictionary(tables: Mapping[str, TableSpec]) -> str:
    """Return the data dictionary in Markdown."""
    parts = [_HEAD, _RELATIONS, _render_diagram(tables)]
    return "\n".join([*parts, *(_render_table(table) for table in tables.values())])


def iter_references(
    tables: Mapping[str, TableSpec],
) -> Iterator[tuple[TableSpec, ColumnSpec, TableSpec]]:
    """Yield each column that references the key of another table, with both tables."""
    for table in tables.values():
        for column in table.columns:
            other, _, key = (column.references or "").partition(".")
            if other in tables and other != table.name and tables[other].key == (key,):
                yield table, column, tables[other]


def _render_diagram(tables: Mapping[str, TableSpec]) -> str:
    """Return keys and references as a Mermaid diagram, without the workspaces of rows of runs."""
    tables = {name: table for name, table in tables.items() if "valid_from" not in table.key}
    lines = ["```mermaid", "erDiagram"]
    for table, column, other in iter_references(tables):
        if other.name == "workspaces" and "workflow_id" in table.arrow_schema.names:
            continue
        many = "o|" if table.key == (column.name,) else "o{"
        one = "|o" if column.nullable else "||"
        lines.append(f"    {other.name} {one}--{many} {table.name} : {column.name}")
    for table in tables.values():
        lines += [f"    {table.name} {{", *_list_marks(table, tables), "    }"]
    return "\n".join([*lines, "```", ""])


def _list_marks(table: TableSpec, tables: Mapping[str, TableSpec]) -> list[str]:
    """Return the lines of a table's key and reference columns in the diagram."""
    foreign = {column.name for of, column, _ in iter_references(tables) if of is table}
    marks = []
    for column in table.columns:
        kinds = ["PK"] if column.name in table.key else []
        kinds += ["FK"] if column.name in foreign else []
        if kinds:
            marks.append(f"        {column.type_name} {column.name} {', '.join(kinds)}")
    return marks


def _render_table(table: TableSpec) -> str:
    head = [
        f"## `{table.name}`\n",
        f"{table.description} {table.grain}\n",
        f"Key: {', '.join(f'`{name}`' for name in table.key)}. From: {table.source}.\n",
        "| column | type | unit | null | meaning | source |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(_render_column(column) for column in table.columns), ""])


def _render_column(column: ColumnSpec) -> str:
    cells = (
        f"`{column.name}`",
        column.type_name,
        column.unit or "",
        "yes" if column.nullable else "no",
        column.description,
        column.source,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(render_dictionary(STORED_TABLES))
