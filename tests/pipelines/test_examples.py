"""The examples run as they stand; those for orchestrators in tests/orchestrators."""

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
from tower_etl.destinations.duckdb_paths import resolve_duckdb_paths
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.simulator import World

    Run = Callable[..., subprocess.CompletedProcess[str]]

EXAMPLES = Path(__file__).parents[2] / "pipelines"
LONGEST_LINES = 40


@pytest.fixture
def run_id(world: World) -> str:
    """The one run of the platform, with a task."""
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    world.finish_run(run_id)
    return run_id


@pytest.fixture
def run(endpoint: str, tmp_path: Path) -> Run:
    """Run an example in an empty folder."""

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
def test_an_example_fills_its_file(run: Run, run_id: str, tmp_path: Path, command: str) -> None:
    """Plain dlt, twice: the second time there is nothing new."""
    for _ in range(2):
        ended = run(*command.split())
        assert ended.returncode == 0, ended.stderr
    (file,) = tmp_path.glob("*.duckdb")
    assert list_runs(file) == [run_id]


@pytest.mark.slow
def test_two_sources_share_a_pipeline(run: Run, run_id: str, tmp_path: Path) -> None:
    """Neither disturbs the state of the other."""
    ended = run("with_another_source.py")
    assert ended.returncode == 0, ended.stderr
    assert list_runs(tmp_path / "budgets.duckdb") == [run_id]


def list_runs(file: Path) -> list[str]:
    """Ids of the runs in a DuckDB file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return [run for (run,) in connection.execute("SELECT id FROM tower.workflows").fetchall()]


@pytest.mark.slow
def test_shards_answer_as_one(run: Run, world: World, endpoint: str, tmp_path: Path) -> None:
    """Each run counts, and who launched runs in both is one user."""
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
def test_the_parquet_example_prints_what_pandas_reads(
    run: Run, run_id: str, tmp_path: Path
) -> None:
    """The folder stays, one row a run."""
    ended = run("to_parquet.py")
    assert ended.returncode == 0, ended.stderr
    assert "SUCCEEDED    1" in ended.stdout
    assert [run_id] == list(pd.read_parquet(tmp_path / "tower-parquet" / "workflows")["id"])


@pytest.mark.slow
def test_the_postgres_example_fills_the_database(run: Run, run_id: str) -> None:
    """With credentials of dlt's own."""
    with start_postgres() as server:
        address = f"postgresql://tower:unasked@{quote(str(server.folder), safe='')}/postgres"
        ended = run("to_postgres.py", DESTINATION__POSTGRES__CREDENTIALS=address)
        assert ended.returncode == 0, ended.stderr
        assert run_id in server.run("SELECT id FROM tower.workflows")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the dlt project."""
    return Path(shutil.copytree(EXAMPLES / "dlt_project", tmp_path / "project"))


def run_project(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the project with nothing but its own configuration."""
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
def test_the_dlt_project_loads_by_its_own_configuration(
    project: Path, run_id: str, endpoint: str
) -> None:
    """Token, endpoint and tables are read by dlt from the two files."""
    config, secrets = project / ".dlt" / "config.toml", project / ".dlt" / "secrets.toml"
    text = config.read_text().replace("https://api.cloud.seqera.io", endpoint)
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
def test_a_dlt_project_without_a_token_says_where_it_goes(project: Path) -> None:
    """The placeholder is no token."""
    ended = run_project(project)
    assert ended.returncode != 0
    assert "access_token" in ended.stderr
    assert "secrets.toml" in ended.stderr


def test_systemd_takes_the_units() -> None:
    """Where systemd's programs are installed; nothing is started."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    units = [EXAMPLES / "systemd" / f"tower-etl.{kind}" for kind in ("service", "timer")]
    ended = subprocess.run(
        [program, "verify", *units], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_example_is_forty_lines_at_most_and_is_listed() -> None:
    """In the README beside it."""
    listed = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.rglob("*"):
        if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts:
            assert len(path.read_text().splitlines()) <= LONGEST_LINES, path
            assert f"`{path.relative_to(EXAMPLES)}`" in listed, path
