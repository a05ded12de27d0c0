"""Reports on small and seeded histories, and a browser that opens them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.load.warehouse import Warehouse, sync_seeded
from tests.sql.small import SmallHistory
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.report.queries import load_report_data
from tower_etl.report.render import render_page
from tower_etl.simulator import NO_LIMIT, Simulator, load_runs, serve
from tower_etl.warehouse.filters import RunFilter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tower_etl.report.data import ReportData

MADE_AT = datetime(2026, 3, 8, 9, 30, tzinfo=UTC)
PLATFORM = "https://tower.example.org"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def small() -> SmallHistory:
    """Return a history without rows."""
    return SmallHistory()


def facts_of(history: SmallHistory) -> ReportData:
    """Return the report data of a small history."""
    with history.open(stored=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return load_report_data(connection, MADE_AT)


def page_of(history: SmallHistory) -> str:
    """Render the report of a small history."""
    return render_page(facts_of(history), PLATFORM, MADE_AT, RunFilter())


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sync a seeded world into a DuckDB file, which tests only read."""
    folder = tmp_path_factory.mktemp("seeded")
    return sync_seeded(folder, 11, runs=60, days=20, mean_tasks=25)


@pytest.fixture(scope="session")
def real_runs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sync three real runs into a DuckDB file, which tests only read."""
    target = resolve_duckdb_paths(tmp_path_factory.mktemp("real") / "tower.duckdb")
    with serve(Simulator(load_runs(shared / "runs"), limit=NO_LIMIT)) as endpoint:
        assert Warehouse(target, endpoint, SYSTEM_CLOCK).sync().result.status == "ok"
    return target.path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start a headless Chromium; skip the test if Chromium is not installed."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield opened
        opened.close()
