"""The dbt package: each view is a model, each table read a ref or source, and dbt can build it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml

from tests.sql.postgres import read_tables, start_postgres
from tower_etl.errors import ConfigurationError
from tower_etl.schema import LOCAL_TABLES, TABLES
from tower_etl.views.dbt_package import write_dbt_package
from tower_etl.views.definitions import iter_views
from tower_etl.views.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

VIEWS = {view.name: view for view in iter_views()}
DBT = Path(__file__).parents[2] / ".venv-dbt" / "bin" / "dbt"


def iter_models(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.glob("models/*/*.sql"):
        yield path.stem, path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_view_is_a_model_that_reads_refs_and_sources(tmp_path: Path, dialect: str) -> None:
    assert write_dbt_package(tmp_path / "package", dialect) == len(VIEWS)
    models = dict(iter_models(tmp_path / "package"))
    assert models.keys() == VIEWS.keys()
    for name, sql in models.items():
        refs = set(re.findall(r"\{\{ ref\('(\w+)'\) \}\}", sql))
        sources = set(re.findall(r"\{\{ source\('tower', '(\w+)'\) \}\}", sql))
        read = VIEWS[name].sources
        assert refs == read & (VIEWS.keys() - {name})
        assert sources == read & (TABLES.keys() | LOCAL_TABLES.keys())
        rest = re.sub(r"\{\{.*?\}\}", "", sql)
        assert "{{" not in rest
        assert "{%" not in rest


def test_sources_describe_tables_keys_and_freshness(tmp_path: Path) -> None:
    write_dbt_package(tmp_path, "duckdb")
    text = (tmp_path / "models" / "sources.yml").read_text(encoding="utf-8")
    ((source,),) = (yaml.safe_load(text)["sources"],)
    tables = {table["name"]: table for table in source["tables"]}
    assert tables.keys() == TABLES.keys() | LOCAL_TABLES.keys()
    assert all(table["description"] for table in tables.values())
    keys = {c["name"]: c["data_tests"] for c in tables["tasks"]["columns"] if "data_tests" in c}
    assert keys == {"workflow_id": ["not_null"], "task_id": ["not_null"]}
    assert tables["sync_runs"]["config"]["loaded_at_field"] == "finished_at"


@pytest.mark.slow
def test_writing_a_package_replaces_a_package_but_no_other_folder(tmp_path: Path) -> None:
    write_dbt_package(tmp_path / "package", "postgres")
    (tmp_path / "package" / "models" / "marts" / "gone.sql").write_text("SELECT 1")
    write_dbt_package(tmp_path / "package", "duckdb")
    assert "gone" not in dict(iter_models(tmp_path / "package"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not a dbt project"):
        write_dbt_package(tmp_path / "other", "duckdb")
    with pytest.raises(ConfigurationError, match="Unknown dialect 'mysql'"):
        write_dbt_package(tmp_path / "new", "mysql")


def run_dbt(project: Path, profile: dict[str, object], *command: str) -> str:
    """Run dbt on a project, offline and without its statistics, and return its output."""
    profiles = {"default": {"target": "dev", "outputs": {"dev": profile}}}
    (project / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    done = subprocess.run(
        [DBT, *command, "--project-dir", project, "--profiles-dir", project, "--no-use-colors"],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(project),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "PGCLIENTENCODING": "UTF8",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def prepare_project(folder: Path, dialect: str) -> Path:
    """Write the package, and name the profile that `run_dbt` writes."""
    write_dbt_package(folder, dialect)
    project = folder / "dbt_project.yml"
    content = yaml.safe_load(project.read_text(encoding="utf-8")) | {"profile": "default"}
    project.write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


needs_dbt = pytest.mark.skipif(not DBT.exists(), reason="dbt is not installed: make dbt")


@needs_dbt
def test_dbt_builds_and_tests_the_package_in_duckdb(tmp_path: Path, seeded: Path) -> None:
    path = tmp_path / "runs.duckdb"
    path.write_bytes(seeded.read_bytes())
    project = prepare_project(tmp_path / "project", "duckdb")
    profile: dict[str, object] = {"type": "duckdb", "path": str(path), "schema": "analytics"}
    shown = run_dbt(project, profile, "build")
    assert f"{len(VIEWS)} view models" in shown
    assert "ERROR=0" in shown
    run_dbt(project, profile, "source", "freshness")


@needs_dbt
def test_dbt_builds_and_tests_the_package_in_postgresql(tmp_path: Path, seeded: Path) -> None:
    with start_postgres() as server:
        with duckdb.connect(str(seeded), read_only=True) as connection:
            connection.execute("USE tower.tower")
            tables = read_tables(connection)
        server.run("CREATE SCHEMA tower; ALTER ROLE tower SET search_path = tower, public;")
        server.fill(tables)
        project = prepare_project(tmp_path / "project", "postgres")
        profile: dict[str, object] = {
            "type": "postgres",
            "host": str(server.folder),
            "user": "tower",
            "password": "none",
            "port": 5432,
            "dbname": "postgres",
            "schema": "analytics",
            "threads": 2,
        }
        shown = run_dbt(project, profile, "build")
    assert f"{len(VIEWS)} view models" in shown
    assert "ERROR=0" in shown
