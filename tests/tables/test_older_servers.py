"""Responses of older servers: missing fields, text instead of numbers, and null ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.run_tables import build_run
from tower_etl.schema import TABLES, workspace_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

pytestmark = pytest.mark.shared


def build(described: dict[str, Any], *, tasks: object = ()) -> dict[str, pa.Table]:
    """Build the tables of a run of the personal workspace."""
    pages = [tasks] if tasks else []
    return build_run(described, workspace_id=None, starred=None, tasks=pages, metrics=None)


def test_a_run_with_few_fields_is_a_row_of_mostly_nulls(response: Callable[[str], Any]) -> None:
    """Apart from its user, the run has no rows in other tables."""
    listed = response("workflow_list")["workflows"][0]
    tables = build(listed)
    (row,) = tables.pop("workflows").to_pylist()
    assert tables.pop("users").num_rows == 1
    assert datetime(2021, 9, 22, 5, 45, 44, tzinfo=UTC) == row["submit"]
    assert False is row["starred"]
    assert [row[name] for name in ("start", "params", "stats__succeed_count", "cost")] == [None] * 4
    assert dict.fromkeys(tables, 0) == {name: table.num_rows for name, table in tables.items()}


def test_exit_codes_as_text_or_integers_become_text(response: Callable[[str], Any]) -> None:
    """Older servers send text, newer ones integers."""
    old = response("task_detail_exit_as_string")
    tasks = [old, {"task": {"taskId": 2, "exit": 0}}, {"task": {"taskId": 3, "exit": "-"}}]
    table = build({"workflow": {"id": "r"}}, tasks=tasks)["tasks"]
    assert table["exit"].to_pylist() == ["0", "0", "-"]
    assert table["pcpu"].to_pylist() == [63.6, None, None]
    assert table["pmem"].to_pylist() == [0.0, None, None]


def test_progress_fields_that_an_older_server_lacks_are_null(
    response: Callable[[str], Any],
) -> None:
    tables = build({"workflow": {"id": "r"}} | response("runs_progress"))
    (row,) = tables["workflow_progress"].to_pylist()
    assert (row["succeeded"], row["cost"], row["executors"]) == (282, 0.070410747, '["awsbatch"]')
    assert (row["aborted"], row["net_cost"]) == (None, None)
    processes = response("runs_progress")["progress"]["processesProgress"]
    names = tables["process_progress"]["process"].to_pylist()
    assert [entry["process"] for entry in processes] == names


def test_organizations_listed_among_workspaces_make_no_workspace_rows(
    response: Callable[[str], Any],
) -> None:
    """An entry with a null workspace id is an organization."""
    table = workspace_rows(response("workspaces_list")["orgsAndWorkspaces"])
    ids = [75887156211589, 75887156211590]
    assert ids == table["id"].to_pylist()
    assert ids == table["workspace_id"].to_pylist()
    assert table["name"].to_pylist() == ["workspace1", "workspace2"]
    assert table["org_name"].to_pylist() == ["organization1", "organization2"]


def test_organizations_without_newer_fields_have_nulls(response: Callable[[str], Any]) -> None:
    organizations = response("organizations_list")["organizations"]
    rows = TABLES["organizations"].build(organizations, workspace_id=None).to_pylist()
    assert [row["org_id"] for row in rows] == [81702924135038, 27736513644467]
    assert {("owner", None, None)} == {(r["member_role"], r["type"], r["paying"]) for r in rows}
    assert [row["undocumented"] for row in rows] == [None, None]
