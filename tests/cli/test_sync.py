"""The contract of `tower-etl sync`: flags, settings and output."""

from __future__ import annotations

import json
import os
import pty
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.cli.console import expect_contract
from tower_etl.simulator import DEMO_TOKEN, Simulator, serve

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tower_etl.simulator import World

# --- output -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_json_prints_one_object_with_the_keys_of_the_contract(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """Rows are counted by table; nothing else is printed."""
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    world.finish_run(run_id)
    ended = console.run("sync", "--endpoint", endpoint, "--json")
    assert (ended.code, ended.err) == (0, "")
    expect_contract(ended.json)
    assert ended.json["status"] == "ok"
    assert (ended.json["rows"]["workflows"], ended.json["rows"]["tasks"]) == (1, 1)
    assert [(None, "ok", None), (lab, "ok", None)] == [
        (space["id"], space["status"], space["error"]) for space in ended.json["workspaces"]
    ]


@pytest.mark.slow
def test_progress_is_drawn_if_standard_error_is_a_terminal(
    console: Console, world: World, lab: int
) -> None:
    """Standard output has nothing but the object."""
    world.submit_run(lab)
    primary, secondary = pty.openpty()
    with serve(Simulator(world, limit=None, latency_s=0.1)) as endpoint:
        sync = console.start("sync", "--endpoint", endpoint, "--json", stderr=secondary)
        os.close(secondary)
        out, _ = sync.communicate(timeout=60)
    shown = read_terminal(primary)
    assert sync.returncode == 0
    assert "\r\x1b[K" in shown
    assert "calls" in shown
    expect_contract(json.loads(out))


def read_terminal(primary: int) -> str:
    """Return what was written to a pseudo-terminal whose other end is closed."""
    shown = b""
    try:
        while part := os.read(primary, 4096):
            shown += part
    except OSError:  # Linux raises it when the other end is closed
        pass
    os.close(primary)
    return shown.decode()


# --- selection of workspaces, tables and runs ---------------------------------------------------


def test_workspaces_are_selected_by_id_name_and_pattern(
    console: Console, endpoint: str, lab: int, annex: int
) -> None:
    """`--workspace` may be repeated and ignores case."""
    flags = ("--workspace", str(lab), "--workspace", "ACME/ann*", "--workspace", "acme/lab")
    ended = console.run("check", "--endpoint", endpoint, "--json", *flags)
    assert [lab, annex] == [space["id"] for space in ended.json["workspaces"]]


@pytest.mark.slow
def test_a_sync_loads_the_selected_workspaces_only(
    console: Console, world: World, endpoint: str, lab: int, annex: int
) -> None:
    """The selectors come from the environment or a flag."""
    mine, _, other = world.submit_run(lab), world.submit_run(annex), world.submit_run(None)
    done = console.run("sync", "--endpoint", endpoint, "--json", TOWER_WORKSPACE_ID=str(lab))
    assert [lab] == [space["id"] for space in done.json["workspaces"]]
    assert {mine} == console.list_runs()
    assert console.run("sync", "--endpoint", endpoint, "--workspace", "personal").code == 0
    assert {mine, other} == console.list_runs()


@pytest.mark.slow
def test_tables_option_fills_selected_and_required_tables_only(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    ended = console.run("sync", "--endpoint", endpoint, "--tables", "tasks, workspaces", "--json")
    assert ended.code == 0, ended.err
    filled = {"workflows", "tasks", "workspaces", "sync_runs"}
    assert filled == {name for name, count in ended.json["rows"].items() if count}


@pytest.mark.slow
def test_since_and_until_are_inclusive_bounds_of_the_submission(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """A later sync without `--until` loads the runs after it."""
    days = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
    runs = [world.submit_run(lab, submit=f"{day}T00:00:00Z") for day in days]
    window = ("--since", "2026-01-02", "--until", "2026-01-03T00:00:00Z")
    assert console.run("sync", "--endpoint", endpoint, *window).code == 0
    assert set(runs[1:3]) == console.list_runs()
    assert console.run("sync", "--endpoint", endpoint, "--since", "2026-01-02").code == 0
    assert set(runs[1:]) == console.list_runs()


@pytest.mark.slow
def test_reconcile_marks_a_deleted_run_and_keeps_its_row(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """Without the flag, the second sync of a day does not look for deleted runs."""
    run_id = world.submit_run(lab)
    world.finish_run(run_id)
    world.delete_run(world.submit_run(lab))
    assert console.run("sync", "--endpoint", endpoint).code == 0
    world.delete_run(run_id)
    sql = "SELECT missing_since FROM workflows"
    for flags, is_missing in (([], False), (["--reconcile"], True)):
        assert console.run("sync", "--endpoint", endpoint, *flags).code == 0
        assert [is_missing] == [moment is not None for (moment,) in console.select(sql)]


# --- sources of settings ------------------------------------------------------------------------


@pytest.mark.slow
def test_flags_override_the_environment_which_overrides_dlt_files(
    console: Console, endpoint: str, lab: int
) -> None:
    write_dlt(console, endpoint=endpoint, token=DEMO_TOKEN)
    bare = {"TOWER_ACCESS_TOKEN": None}
    assert endpoint == console.run("check", "--json", **bare).json["endpoint"]
    assert console.run("check", TOWER_ACCESS_TOKEN="refused").code == 3
    elsewhere = {"TOWER_API_ENDPOINT": endpoint.replace("127.0.0.1", "localhost")}
    found = console.run("check", "--json", **bare, **elsewhere)
    assert elsewhere["TOWER_API_ENDPOINT"] == found.json["endpoint"]
    found = console.run("check", "--json", "--endpoint", endpoint, **bare, **elsewhere)
    assert endpoint == found.json["endpoint"]


def write_dlt(console: Console, endpoint: str, token: str) -> None:
    """Write endpoint and token to the configuration files of dlt."""
    folder = console.folder / ".dlt"
    folder.mkdir()
    section = "[sources.tower_etl.tower]\n"
    (folder / "secrets.toml").write_text(f'{section}access_token = "{token}"\n')
    (folder / "config.toml").write_text(f'{section}endpoint = "{endpoint}"\n')


@pytest.mark.slow
def test_a_sync_reads_endpoint_and_token_from_dlt_files(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """No environment variable is set."""
    run_id = world.submit_run(lab)
    write_dlt(console, endpoint=endpoint, token=DEMO_TOKEN)
    ended = console.run("sync", TOWER_ACCESS_TOKEN=None)
    assert ended.code == 0, ended.err
    assert {run_id} == console.list_runs()


@pytest.mark.slow
def test_a_relative_path_starts_at_the_working_directory(
    console: Console, endpoint: str, lab: int
) -> None:
    """The sync writes the file and one folder beside it, and nothing elsewhere."""
    (console.folder / "data").mkdir()
    started = datetime.now(UTC)
    ended = console.run("sync", "--endpoint", endpoint, "--path", "data/my runs.duckdb")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("data/my runs.duckdb: ok; 0 runs, 0 tasks; ")
    assert [path.name for path in console.folder.iterdir()] == ["data"]
    assert list(console.home.iterdir()) == []
    names = {path.name for path in (console.folder / "data").iterdir()}
    assert {"my runs.duckdb", "my runs.duckdb.sync"} == names
    sql = "SELECT started_at FROM sync_runs"
    ((moment,),) = console.select(sql, "data/my runs.duckdb")
    assert started <= moment <= datetime.now(UTC)
