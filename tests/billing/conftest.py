"""Fixtures: a target with three real runs, and the real export of their bill."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.billing.target import BillTarget
from tests.load.warehouse import Warehouse
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.simulator import NO_LIMIT, Simulator, load_runs, serve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def synced(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the three real runs; tests only copy it."""
    target = resolve_duckdb_paths(tmp_path_factory.mktemp("synced") / "runs.duckdb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        with serve(Simulator(load_runs(shared / "runs"), limit=NO_LIMIT)) as endpoint:
            assert Warehouse(target, endpoint, SYSTEM_CLOCK).sync().result.status == "ok"
    return target.path


@pytest.fixture(scope="session")
def export(shared: Path) -> Path:
    """Return the real export, with lines of two of the runs and a line of an unknown run."""
    return shared / "billing" / "aws_cur_split_two_runs.parquet"


@pytest.fixture
def target(synced: Path, tmp_path: Path) -> BillTarget:
    """Return a copy of the file with the three real runs."""
    path = tmp_path / "runs.duckdb"
    shutil.copyfile(synced, path)
    return BillTarget(path)
