"""Run `tower-etl` in separate processes with a restricted environment, as users do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from tests.cli.console import drop_progress
from tower_etl.simulator import DEMO_TOKEN

# Relative to today, because open runs that are older than a month are abandoned.
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

KILLED = Path(__file__).with_name("kill_at.py")
TABLES = (
    *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
    *("workflow_labels", "labels", "organizations", "workspaces"),
)


def days_ago(days: float) -> str:
    """Return a time some days before the platform's, in the form that flags take."""
    return (NOW - timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class Command:
    """Run syncs of one platform into files of one folder.

    Attributes:
        url: The address of the platform.
        folder: The folder of the files, which is also the home directory of the processes.
        environ: Additional environment variables.
        prefix: A program that starts the command, to limit it or to run it as another user.
    """

    url: str
    folder: Path
    environ: dict[str, str] = field(default_factory=lambda: {"TOWER_ETL_PACKAGE_ROWS": "2500"})
    prefix: tuple[str, ...] = ()

    def start(self, path: str, *extra: str, point: str | None = None) -> subprocess.Popen[str]:
        """Start a sync into a file of the folder; at `point`, the process kills itself."""
        program = [str(KILLED), point] if point else ["-m", "tower_etl"]
        return subprocess.Popen(
            [
                *(*self.prefix, sys.executable, *program, "sync", "--endpoint", self.url),
                *("--path", path, "--rate", "none", "--json", *extra),
            ],
            cwd=self.folder,
            env=self._environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, path: str, *extra: str, point: str | None = None) -> tuple[int, str, str]:
        """Run a sync; return its exit code, standard output and standard error."""
        process = self.start(path, *extra, point=point)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, drop_progress(err)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command other than `sync`."""
        return subprocess.run(
            [*self.prefix, sys.executable, "-m", "tower_etl", *arguments],
            cwd=self.folder,
            env=self._environ(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def differences(self, path: str, reference: str | Path) -> dict[str, tuple[int, int]]:
        """Return by table the numbers of rows that only one of two files has; empty if equal."""
        with duckdb.connect() as connection:
            for name, file in (("one", path), ("other", reference)):
                connection.execute(f"ATTACH '{self.folder / file}' AS {name} (READ_ONLY)")
            counts = {
                table: (
                    _count_missing(connection, f"one.tower.{table}", f"other.tower.{table}"),
                    _count_missing(connection, f"other.tower.{table}", f"one.tower.{table}"),
                )
                for table in TABLES
            }
        return {table: found for table, found in counts.items() if found != (0, 0)}

    def _environ(self) -> dict[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ
        }
        return kept | {
            "HOME": str(self.folder),
            "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
            "NO_PROXY": "*",
            "TOWER_ETL_TABLES": ",".join(TABLES),  # only the tables that are compared
            **self.environ,
        }


def _count_missing(connection: duckdb.DuckDBPyConnection, one: str, other: str) -> int:
    """Return the number of rows of one table that the other lacks, all columns compared."""
    found = connection.execute(
        f"SELECT count(*) FROM (SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other})"  # noqa: S608 names of tables
    ).fetchone()
    assert found is not None
    return int(found[0])
