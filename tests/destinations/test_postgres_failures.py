"""Errors of PostgreSQL: messages with object, cause and next step, and exact tables afterwards."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from tests.destinations.test_semantics import add_run, expect_tables, kill_sync
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.postgres import DirectMergePostgresClient
from tower_etl.errors import ConfigurationError, TowerEtlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.destinations.harness import DestinationHarness
    from tower_etl.simulator import Simulator, World

TABLES = frozenset(
    {
        *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
        *("workflow_labels", "labels", "sync_runs"),
    }
)

TRIGGER = """
CREATE FUNCTION tower.no() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'no more rows'; END $$;
CREATE TRIGGER no BEFORE INSERT ON tower.tasks EXECUTE FUNCTION tower.no()
"""
# Statement that breaks the database, statement that undoes it, exit code, texts of the message.
BROKEN = {
    "a constraint": (
        "ALTER TABLE tower.tasks ADD CONSTRAINT mine CHECK (task_id < 0) NOT VALID",
        "ALTER TABLE tower.tasks DROP CONSTRAINT mine",
        (2, "violates check constraint", "Drop the constraint"),
    ),
    "a trigger": (
        TRIGGER,
        "DROP FUNCTION tower.no CASCADE",
        (2, "no more rows", "Drop the trigger"),
    ),
    "a read-only database": (
        "ALTER DATABASE postgres SET default_transaction_read_only = on",
        "ALTER DATABASE postgres RESET default_transaction_read_only",
        (2, "read-only transaction", "primary server"),
    ),
    "a time limit": (
        "ALTER DATABASE postgres SET statement_timeout = '1ms'",
        "ALTER DATABASE postgres RESET statement_timeout",
        (5, "statement timeout", "statement_timeout"),
    ),
}
FOREIGN = {
    "a table of runs": ("TABLE", "tower.tasks", "(foo INTEGER)"),
    "a table with the key of a synced one": (
        "TABLE",
        "tower.tasks",
        "(workflow_id TEXT, task_id BIGINT)",
    ),
    "a table with the name of a view": ("TABLE", "tower.cost_by_pipeline", "(foo INTEGER)"),
    "a table of dlt": ("TABLE", "tower._dlt_version", "(foo INTEGER)"),
    "a view with the name of a table": ("VIEW", "tower.workflows", "AS SELECT 1 AS id"),
    "a materialized view": ("MATERIALIZED VIEW", "tower.cost_by_pipeline", "AS SELECT 1 AS a"),
}


@pytest.fixture
def harness(
    make_harness: Callable[[str], DestinationHarness], monkeypatch: pytest.MonkeyPatch
) -> DestinationHarness:
    """Return an empty database; processes sync the tables that are compared."""
    monkeypatch.setenv("TOWER_ETL_TABLES", ",".join(TABLES))
    return make_harness("postgres")


def change(address: str, sql: str) -> list[Any]:
    """Run statements as the owner, regardless of the settings for other users."""
    free = "-c default_transaction_read_only=off -c statement_timeout=0"
    with closing(psycopg2.connect(address, options=free)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def changed(address: str, sql: str, undo: str) -> Iterator[None]:
    """Run statements, and undo them at the end."""
    change(address, sql)
    try:
        yield
    finally:
        change(address, undo)


def expect_failure(harness: DestinationHarness, code: int, *said: str) -> None:
    """Assert that a sync fails with the exit code and texts, and does not mention disk space."""
    with pytest.raises(TowerEtlError) as raised:
        harness.sync(tables=TABLES)
    message = str(raised.value)
    missing = [text for text in said if text not in message]
    assert (raised.value.exit_code, missing) == (code, []), message
    assert "disk space" not in message


def expect_exact(harness: DestinationHarness, world: World) -> None:
    """Assert that a sync succeeds and that the tables are exact."""
    assert harness.sync(tables=TABLES).result.status == "ok"
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN)
def test_a_refusal_by_the_database_is_reported_and_loses_no_rows(
    harness: DestinationHarness, world: World, lab: int, broken: str
) -> None:
    """An earlier sync was killed and left a pending load package."""
    sql, undo, (code, *said) = BROKEN[broken]
    add_run(world, lab)
    harness.sync(tables=TABLES)
    add_run(world, lab)
    kill_sync(harness, "before:dlt.load.load:Load.run:1")
    with changed(harness.place.path, sql, undo):
        expect_failure(harness, code, *said)
    add_run(world, lab)
    expect_exact(harness, world)


@pytest.mark.slow
@pytest.mark.parametrize("renamed", ["", "COLUMN script"])
def test_a_renamed_table_or_column_is_filled_again(
    harness: DestinationHarness, world: World, lab: int, renamed: str
) -> None:
    add_run(world, lab)
    harness.sync(tables=TABLES)
    change(harness.place.path, f"ALTER TABLE tower.tasks RENAME {renamed} TO mine")
    add_run(world, lab)
    expect_exact(harness, world)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_table_or_view_is_refused_and_unchanged(
    harness: DestinationHarness, simulator: Simulator, foreign: str
) -> None:
    """It is refused before the first call. Without the check, dlt would add columns to it."""
    kind, name, rest = FOREIGN[foreign]
    address = harness.place.path
    change(address, "CREATE SCHEMA tower")
    change(address, f"CREATE {kind} {name} {rest}")
    before = change(address, f"SELECT * FROM {name}")  # noqa: S608 trusted names
    expect_failure(harness, 2, f"{name} was not written by tower-etl", "RENAME TO")
    assert simulator.calls == []
    assert change(address, f"SELECT * FROM {name}") == before  # noqa: S608 trusted names


@pytest.mark.slow
def test_a_lost_connection_exits_with_5_and_the_next_sync_loads_the_rows(
    harness: DestinationHarness, world: World, lab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart of the server, for example, terminates connections."""
    add_run(world, lab)
    complete = DirectMergePostgresClient.complete_load

    def lose(client: DirectMergePostgresClient, load_id: str) -> None:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"  # noqa: S608 trusted names
        change(harness.place.path, end)
        complete(client, load_id)

    with monkeypatch.context() as patch:
        patch.setattr(DirectMergePostgresClient, "complete_load", lose)
        expect_failure(harness, 5, "run the same command again")
    expect_exact(harness, world)


@pytest.mark.slow
def test_missing_privileges_are_reported_with_the_needed_ones(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """The user may lack the right to create schemas, or to write to tables of another user."""
    address, owner = harness.place.path, harness.place
    change(address, "DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN")
    change(address, "REVOKE CREATE ON DATABASE postgres FROM PUBLIC")
    harness.place = replace(owner, path=address.replace("tower@", "weak@"))
    expect_failure(harness, 2, "permission denied for database postgres", "Grant the user")
    harness.place = owner
    add_run(world, lab)
    harness.sync(tables=TABLES)
    change(address, "GRANT USAGE ON SCHEMA tower TO weak")
    harness.place = replace(owner, path=address.replace("tower@", "weak@"))
    expect_failure(harness, 2, "permission denied for table", "the owner of the schema tower")
    harness.place = owner
    expect_exact(harness, world)


@pytest.mark.parametrize(
    ("changed_part", "said"),
    [
        (("tower@", "nobody@"), ('role "nobody" does not exist', "Check user and password")),
        (("/postgres?", "/nowhere?"), ('database "nowhere" does not exist', "Create the database")),
        (("host=", "host=/nowhere"), ("No such file", "Check the address")),
    ],
)
def test_a_wrong_address_is_refused_with_the_wrong_part(
    harness: DestinationHarness, changed_part: tuple[str, str], said: tuple[str, ...]
) -> None:
    harness.place = replace(harness.place, path=harness.place.path.replace(*changed_part))
    expect_failure(harness, 2, "PostgreSQL cannot be reached", *said)


def test_a_wrong_password_is_refused_without_being_shown(
    harness: DestinationHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the source of the password."""
    folder = Path(harness.place.path.partition("host=")[2])
    rules = folder / "data" / "pg_hba.conf"
    trusting = rules.read_text(encoding="utf-8")
    change(
        harness.place.path, "DROP ROLE IF EXISTS guarded; CREATE ROLE guarded LOGIN PASSWORD 'a'"
    )
    rules.write_text(f"local all guarded scram-sha-256\n{trusting}", encoding="utf-8")
    change(harness.place.path, "SELECT pg_reload_conf()")
    try:
        monkeypatch.setenv("PGPASSWORD", "hush")
        guarded = harness.place.path.replace("tower@", "guarded@")
        with pytest.raises(ConfigurationError, match="password authentication failed") as raised:
            open_destination(replace(harness.place, path=guarded))
    finally:
        rules.write_text(trusting, encoding="utf-8")
        change(harness.place.path, "SELECT pg_reload_conf()")
    assert "PGPASSWORD" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_too_many_connections_exit_with_5(harness: DestinationHarness) -> None:
    """Another attempt may succeed, so this is not a configuration error."""
    change(harness.place.path, "DROP ROLE IF EXISTS narrow")
    change(harness.place.path, "CREATE ROLE narrow LOGIN CONNECTION LIMIT 0")
    harness.place = replace(harness.place, path=harness.place.path.replace("tower@", "narrow@"))
    expect_failure(harness, 5, "too many connections", "Raise the limit")


@pytest.mark.slow
def test_a_text_that_the_database_encoding_lacks_is_reported(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    address = harness.place.path
    change(address, "DROP DATABASE IF EXISTS latin")
    change(address, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    world.fail_run(add_run(world, lab), "\u65e5\u672c")
    harness.place = replace(harness.place, path=address.replace("/postgres?", "/latin?"))
    expect_failure(harness, 2, "LATIN1", "encoding UTF8")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_a_full_disk_of_the_database_server_is_reported(
    harness: DestinationHarness, world: World, lab: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(harness.place.path.partition("host=")[2]) / "small"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k,mode=777", "tmpfs", folder], check=True
    )
    subprocess.run(["chown", "postgres", folder], check=True)
    try:
        address = harness.place.path
        change(address, f"CREATE TABLESPACE small LOCATION '{folder}'")
        change(address, "ALTER DATABASE postgres SET default_tablespace = small")
        add_run(world, lab)
        with pytest.raises(TowerEtlError, match="on the database server") as raised:
            harness.sync(tables=TABLES)
        assert raised.value.exit_code == 5
        subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)
        expect_exact(harness, world)
    finally:
        change(address, "ALTER DATABASE postgres RESET default_tablespace")
        change(address, "DROP SCHEMA IF EXISTS tower CASCADE")
        change(address, "DROP TABLESPACE small")
        subprocess.run(["umount", "--lazy", folder], check=True)
