"""The example pipelines run unchanged; tests/orchestrators has those for orchestrators."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import duckdb
import pandas as pd
import pytest

from pipelines.over_shards import open_shards
from tests.load.warehouse import Warehouse
from tests.sql.postgres import start_postgres
from tower_etl.clock import Clock
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.simulator import World

    Run = Callable[..., subprocess.CompletedProcess[str]]

EXAMPLES = Path(__file__).parents[2] / "pipelines"
LONGEST_LINES = 40


@pytest.fixture
def run_id(world: World) -> str:
    """Return the id of the only run of the platform, which has one task."""
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    world.finish_run(run_id)
    return run_id


@pytest.fixture
def run(endpoint: str, tmp_path: Path) -> Run:
    """Return a function that runs an example in an empty folder."""

    def start(name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        ours = {"TOWER_ACCESS_TOKEN": DEMO_TOKEN, "TOWER_API_ENDPOINT": endpoint, "NO_PROXY": "*"}
        paths = {
            "HOME": str(tmp_path),
            "DLT_DATA_DIR": str(tmp_path),
            "PYTHONPATH": str(EXAMPLES.parent),
        }
        return subprocess.run(
            [sys.executable, str(EXAMPLES / name), *arguments],
            cwd=tmp_path,
            env=kept | ours | paths | environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return start


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["to_duckdb.py", "reconcile.py", "backfill_window.py 2026-01-01 2027-01-01"],
)
def test_an_example_loads_the_run_into_its_file_once(
    run: Run, run_id: str, tmp_path: Path, command: str
) -> None:
    """It runs twice, with plain dlt; the second time there is nothing new."""
    for _ in range(2):
        ended = run(*command.split())
        assert ended.returncode == 0, ended.stderr
    (file,) = tmp_path.glob("*.duckdb")
    assert list_runs(file) == [run_id]


@pytest.mark.slow
def test_two_sources_can_share_a_pipeline(run: Run, run_id: str, tmp_path: Path) -> None:
    ended = run("with_another_source.py")
    assert ended.returncode == 0, ended.stderr
    assert list_runs(tmp_path / "budgets.duckdb") == [run_id]


def list_runs(file: Path) -> list[str]:
    """Return the ids of the runs in a DuckDB file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return [run for (run,) in connection.execute("SELECT id FROM tower.workflows").fetchall()]


@pytest.mark.slow
def test_shards_are_queried_as_one_history(
    run: Run, world: World, endpoint: str, tmp_path: Path
) -> None:
    """The runs of both are counted; a user with runs in both is one user."""
    for name in ("acme", "beta"):
        world.submit_run(world.add_workspace(world.add_organization(name), "lab"))
    for name in ("acme", "beta"):
        target = resolve_duckdb_paths(tmp_path / f"{name}.duckdb")
        report = Warehouse(target, endpoint, Clock(now=world.clock.now)).sync(
            workspaces=(f"{name}/*",)
        )
        assert report.result.status == "ok"
    shards = [str(tmp_path / f"{name}.duckdb") for name in ("acme", "beta")]
    ended = run("over_shards.py", "freshness", *shards)
    assert ended.returncode == 0, ended.stderr
    assert "acme/lab" in ended.stdout
    with open_shards(shards) as history:
        counted = history.sql("SELECT workspace, runs FROM freshness ORDER BY 1").fetchall()
        assert counted == [("acme/lab", 1), ("beta/lab", 1)]
        assert history.sql("SELECT count(*) FROM users").fetchall() == [(1,)]


@pytest.mark.slow
def test_the_parquet_example_writes_a_folder_that_pandas_reads(
    run: Run, run_id: str, tmp_path: Path
) -> None:
    """The example prints the number of runs by status."""
    ended = run("to_parquet.py")
    assert ended.returncode == 0, ended.stderr
    assert "SUCCEEDED    1" in ended.stdout
    assert [run_id] == list(pd.read_parquet(tmp_path / "tower-parquet" / "workflows")["id"])


@pytest.mark.slow
def test_the_postgres_example_loads_with_credentials_of_dlt(run: Run, run_id: str) -> None:
    with start_postgres() as server:
        address = f"postgresql://tower:unasked@{quote(str(server.folder), safe='')}/postgres"
        ended = run("to_postgres.py", DESTINATION__POSTGRES__CREDENTIALS=address)
        assert ended.returncode == 0, ended.stderr
        assert run_id in server.run("SELECT id FROM tower.workflows")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the dlt project."""
    return Path(shutil.copytree(EXAMPLES / "dlt_project", tmp_path / "project"))


def run_project(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the dlt project with its own configuration only."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "*"}
    return subprocess.run(
        [sys.executable, "tower_pipeline.py"],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(EXAMPLES.parent), "DLT_DATA_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_the_dlt_project_is_configured_by_its_toml_files(
    project: Path, run_id: str, endpoint: str
) -> None:
    """They have the token, the endpoint and the tables."""
    config, secrets = project / ".dlt" / "config.toml", project / ".dlt" / "secrets.toml"
    text = config.read_text().replace('# endpoint = "https://host/api"', f'endpoint = "{endpoint}"')
    config.write_text(text.replace('# tables = ["!launches"]', 'tables = ["workflows", "tasks"]'))
    secrets.write_text(secrets.read_text().replace("<configure me>", DEMO_TOKEN))
    ended = run_project(project)
    assert ended.returncode == 0, ended.stderr
    with duckdb.connect(str(project / "history.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT id FROM tower.workflows").fetchall() == [(run_id,)]
        found = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'tower'"
        ).fetchall()
    assert {name for (name,) in found if not name.startswith("_")} == {"workflows", "tasks"}


@pytest.mark.slow
def test_a_dlt_project_without_a_token_names_the_file_for_it(project: Path) -> None:
    """The placeholder in the file does not count as a token."""
    ended = run_project(project)
    assert ended.returncode != 0
    assert "access_token" in ended.stderr
    assert "secrets.toml" in ended.stderr


def test_systemd_accepts_the_units() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    units = [EXAMPLES / "systemd" / f"tower-etl.{kind}" for kind in ("service", "timer")]
    ended = subprocess.run(
        [program, "verify", *units], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_every_example_has_at_most_forty_lines_and_is_in_the_readme() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.rglob("*"):
        if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts:
            assert len(path.read_text().splitlines()) <= LONGEST_LINES, path
            assert f"`{path.relative_to(EXAMPLES)}`" in listed, path
