"""Fixtures for the tests of orchestrators: a platform, and programs that reach no other host."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest

from tower_etl.simulator import DEMO_TOKEN, SimClock, build_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.simulator import World

ROOT = Path(__file__).parents[2]
LONGEST_SECONDS = 300
NO_TELEMETRY = {
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


@dataclass(frozen=True)
class Programs:
    """Programs of the virtual environment, run in a separate folder and environment.

    Attributes:
        folder: Working directory and home.
        environ: All environment variables.
        started: Programs that were started and may have ended since.
    """

    folder: Path
    environ: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(
        self, name: str, *arguments: str, output: int | TextIO = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start a program."""
        program = subprocess.Popen(
            [Path(sys.executable).with_name(name), *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(program)
        return program

    def run(self, name: str, *arguments: str) -> str:
        """Run a program and return its output."""
        return finish(self.start(name, *arguments))


def finish(program: subprocess.Popen[str], expected: int = 0) -> str:
    """Wait for the end of a program and return its output."""
    output, _ = program.communicate(timeout=LONGEST_SECONDS)
    assert program.returncode == expected, output
    return output


@pytest.fixture
def world() -> World:
    """Return a platform with two workspaces and twelve runs that do not change during a test."""
    clock = SimClock.frozen_at(datetime.now(UTC))
    return build_world(3, clock=clock, workspaces=2, runs=12, open_runs=2, mean_tasks=6)


@pytest.fixture
def programs(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    """Return programs with the token of the simulated platform, without access to other hosts."""
    for name, value in {"NO_PROXY": "*", **NO_TELEMETRY}.items():
        monkeypatch.setenv(name, value)  # for `load_everything`, which runs in this process
    refused = tmp_path / "refused-hosts.txt"
    folder = tmp_path / "programs"
    folder.mkdir()
    environ = {
        "DLT_DATA_DIR": str(folder / "dlt"),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "NO_PROXY": "*",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{Path(__file__).with_name('offline')}:{ROOT}",
        "REFUSED_HOSTS": str(refused),
        "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
        "TOWER_API_ENDPOINT": endpoint,
        "TOWER_ETL_RATE": "none",
        "TOWER_HISTORY": str(tmp_path / "history.duckdb"),
    }
    programs = Programs(folder, environ | NO_TELEMETRY)
    yield programs
    for program in programs.started:  # still running after a failed test
        program.kill()
        program.communicate()
    assert not refused.exists(), refused.read_text()
