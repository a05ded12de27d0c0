"""PostgreSQL: atomic merges, unique keys, views, comments, backups, locks and addresses."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from tests.destinations.test_semantics import add_run
from tower_etl.config.settings import PrivacySettings
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.config import DestinationConfig
from tower_etl.destinations.postgres import DirectMergePostgresClient, open_postgres
from tower_etl.errors import TowerEtlError
from tower_etl.views import postgres
from tower_etl.views.definitions import iter_comment_statements, iter_views, list_comments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.destinations.harness import DestinationHarness
    from tower_etl.simulator import World


@pytest.fixture
def harness(make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """Return an empty database."""
    return make_harness("postgres")


@pytest.mark.slow
def test_a_reader_sees_no_row_of_a_package_before_its_merge_is_complete(
    harness: DestinationHarness, world: World, lab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are read between the statements that merge a load package."""
    world.finish_run(add_run(world, lab))
    harness.sync()
    add_run(world, lab)
    seen: list[dict[str, int]] = []
    merge = DirectMergePostgresClient._load

    def look(client: DirectMergePostgresClient, name: str, rows: str) -> None:
        merge(client, name, rows)
        seen.append({name: len(harness.read(name)) for name in ("workflows", "tasks")})

    monkeypatch.setattr(DirectMergePostgresClient, "_load", look)
    harness.sync()
    assert {"workflows": 1, "tasks": 1} in seen
    assert all(counts == {"workflows": 1, "tasks": 1} for counts in seen)
    assert (len(harness.read("workflows")), len(harness.read("tasks"))) == (2, 2)


@pytest.mark.slow
def test_columns_that_users_add_do_not_disturb_a_sync(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """A package has no values for them: PostgreSQL fills in their defaults."""
    add_run(world, lab)
    harness.sync()
    with (
        closing(psycopg2.connect(harness.place.path)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("ALTER TABLE tower.tasks ADD COLUMN team text NOT NULL DEFAULT 'ours'")
        cursor.execute("ALTER TABLE tower.tasks ADD COLUMN number bigserial")
        cursor.execute('ALTER TABLE tower.tasks ADD COLUMN "row number" bigint')
        connection.commit()
        add_run(world, lab)
        harness.sync()
        cursor.execute("SELECT count(*), count(number) FROM tower.tasks WHERE team = 'ours'")
        counts = cursor.fetchone()
    assert counts == (len(harness.read("tasks")),) * 2


@pytest.mark.slow
def test_a_duplicate_key_violates_the_unique_index_of_the_table(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    add_run(world, lab)
    harness.sync()
    twice = "INSERT INTO tower.tasks SELECT * FROM tower.tasks"
    with (
        closing(psycopg2.connect(harness.place.path)) as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.errors.UniqueViolation, match="tasks_key"),
    ):
        cursor.execute(twice)


@pytest.mark.slow
def test_views_are_created_and_not_replaced_while_they_are_unchanged(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """A reader that holds a lock on a view thus does not block a sync."""
    add_run(world, lab)
    harness.sync()
    with closing(psycopg2.connect(harness.place.path)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tower.cost_by_pipeline")
        assert cursor.fetchall() == [(1,)]
        assert harness.sync().result.status == "ok"


@pytest.mark.slow
def test_tables_columns_and_views_have_comments(harness: DestinationHarness, world: World) -> None:
    """Comments have units, and promoted columns have comments too.

    Existing comments are not set again.
    """
    world.add_entity("computeEnvs", id="ce", billedTo="lab")
    harness.sync(PrivacySettings(promoted=("compute_envs.billedTo",)), reconcile=True)
    with closing(psycopg2.connect(harness.place.path)) as connection, connection.cursor() as cursor:
        cursor.execute(postgres._FIND_COMMENTS, {"schema": "tower"})
        said = {(table, column): comment for table, column, comment in cursor.fetchall()}
        cursor.execute("SELECT obj_description('tower.cost_by_pipeline'::regclass, 'pg_class')")
        said["cost_by_pipeline", ""] = cursor.fetchall()[0][0]
    assert said["tasks", "peak_rss"] == "Peak resident memory. Unit: bytes."
    assert said["compute_envs", "billed_to"].startswith("Field `billedTo` of the API")
    assert {place: said.get(place) for place in list_comments()} == list_comments()
    assert list(iter_comment_statements(list_comments(), said)) == []
    assert said["cost_by_pipeline", ""] in {view.comment for view in iter_views()}


@pytest.mark.slow
def test_a_sync_continues_from_a_database_restored_from_a_backup(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """No state on this machine is ahead of the database."""
    harness.sync()
    run_id = add_run(world, lab)
    world.finish_run(run_id)
    harness.sync()
    with closing(psycopg2.connect(harness.place.path)) as connection, connection:  # noqa: SIM117 one closes, the next commits
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM tower.workflows")
            cursor.execute(
                "DELETE FROM tower._dlt_pipeline_state WHERE version > 1;"
                "DELETE FROM tower._dlt_loads WHERE load_id NOT IN "
                "(SELECT _dlt_load_id FROM tower._dlt_pipeline_state)"
            )
    harness.sync()
    assert {(run_id,)} == set(harness.read("workflows"))


def test_a_sync_stops_when_its_lock_connection_is_lost(harness: DestinationHarness) -> None:
    """Another sync may have started."""
    place: Any = open_destination(harness.place)
    with place.lock(harness.clock):
        place._lock_connection.close()
        with pytest.raises(TowerEtlError, match="holds the sync lock"), place.package_context():
            pytest.fail("there may have been two")


def test_the_address_comes_from_tower_etl_then_dlt_then_postgresql(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is never shown."""
    secret = database.replace("tower@", "tower:hush@")
    for place in (
        DestinationConfig("postgres", database, tmp_path),
        DestinationConfig("postgres", "", tmp_path, secret),
    ):
        found = open_postgres(place)
        assert "hush" not in f"{place}{found}{found.title}"
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", secret)
    assert "hush" in open_postgres(DestinationConfig("postgres", "", tmp_path)).address
    monkeypatch.delenv("DESTINATION__POSTGRES__CREDENTIALS")
    monkeypatch.setenv("PGHOST", database.partition("host=")[2])
    monkeypatch.setenv("PGUSER", "tower")
    monkeypatch.setenv("PGDATABASE", "postgres")
    assert open_postgres(DestinationConfig("postgres", "", tmp_path)).title.endswith("/postgres")
