"""The data dictionary is up to date and complete, and its references between tables are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tower_etl.schema import STORED_TABLES, TABLES
from tower_etl.schema.docs import iter_references, render_dictionary

WRITTEN = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_written_dictionary_is_up_to_date() -> None:
    """If this test fails, run `make docs`."""
    assert render_dictionary(STORED_TABLES) == WRITTEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_in_the_section_of_its_table(name: str) -> None:
    section = render_dictionary(TABLES).partition(f"## `{name}`\n")[2].partition("\n## ")[0]
    for column in TABLES[name].columns:
        assert f"| `{column.name}` |" in section
        assert column.description.replace("|", "\\|") in section
    assert TABLES[name].grain in section


def test_tables_of_runs_refer_to_their_run_and_workspace() -> None:
    """Tables of organizations and servers do not refer to a workspace."""
    found = {
        (table.name, column.name, other.name) for table, column, other in iter_references(TABLES)
    }
    for name, table in TABLES.items():
        (space,) = (column for column in table.columns if column.name == "workspace_id")
        above = space.description.startswith("Always null") or name.startswith("workspaces")
        assert above != ((name, "workspace_id", "workspaces") in found), name
        if "workflow_id" in table.arrow_schema.names:
            assert (name, "workflow_id", "workflows") in found
    assert ("workflow_labels", "label_id", "labels") in found
    assert ("workspaces", "org_id", "organizations") in found
    assert ("pipeline_versions", "pipeline_id", "pipelines") in found
    assert ("workflows", "owner_id", "users") in found
    assert ("workflows", "launch_id", "launches") in found
    assert ("workflows", "pipeline_info__id", "pipelines") in found


def test_the_diagram_shows_every_table_except_history_tables() -> None:
    """A table in the diagram has at least one relation."""
    diagram = render_dictionary(TABLES).partition("```mermaid")[2].partition("```")[0]
    for name, table in TABLES.items():
        lines = [line for line in diagram.splitlines() if name in line.split()]
        assert bool(lines) == ("valid_from" not in table.key), name
        assert len(lines) != 1, name


def test_every_reference_names_a_column_of_the_same_type() -> None:
    for table in TABLES.values():
        for column in table.columns:
            place, _, name = (column.references or "").partition(".")
            if place in TABLES:
                assert TABLES[place].arrow_schema.field(name).type == column.type
