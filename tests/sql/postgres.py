"""A temporary PostgreSQL server with its data and its socket in a temporary folder."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv

from tower_etl.schema import STORED_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import duckdb

_DEBIAN = Path("/usr/lib/postgresql")
_LONGEST_SECONDS = 60
_USER = "tower"
_ROOT = 0
_RUNUSER = "/usr/sbin/runuser"  # cron and CI have no sbin on their path

_TYPES = {
    pa.string(): "TEXT",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE PRECISION",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        programs: Folder of the PostgreSQL programs.
        folder: Folder of the socket, and of files that the server reads and writes.
    """

    programs: Path
    folder: Path

    def run(self, script: str) -> str:
        """Run SQL and psql commands up to the first error, and return what psql printed."""
        done = subprocess.run(
            [
                self.programs / "psql",
                *("-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", _USER, "postgres"),
            ],
            input=f"SET client_min_messages = warning;\n{script}",
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def fill(self, tables: Mapping[str, pa.Table]) -> None:
        """Create tables with these rows."""
        for name, rows in tables.items():
            columns = ", ".join(f'"{field.name}" {_TYPES[field.type]}' for field in rows.schema)
            path = self.folder / f"{name}.csv"
            options = arrow_csv.WriteOptions(include_header=False)
            arrow_csv.write_csv(rows, path, options)
            self.run(f'CREATE TABLE "{name}" ({columns});\n\\copy "{name}" FROM \'{path}\' CSV\n')

    def ask(self, views: Iterable[str]) -> dict[str, list[list[str]]]:
        """Return the rows of views as text, with the header first; null is an empty string."""
        paths = {view: self.folder / f"{view}.csv" for view in views}
        copies = [f"\\copy (TABLE {v}) TO '{p}' CSV HEADER" for v, p in paths.items()]
        self.run("SET TIME ZONE 'Pacific/Auckland';\n" + "\n".join(copies) + "\n")
        return {view: _read_csv(path) for view, path in paths.items()}


def _read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@contextmanager
def start_postgres() -> Iterator[Postgres]:
    """Start a server with an empty database; skip the test if PostgreSQL is not installed."""
    programs = _find_programs()
    folder = Path(tempfile.mkdtemp(prefix="tower-etl-"))
    data = folder / "data"
    if os.geteuid() == _ROOT:
        shutil.chown(folder, "postgres")
    control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-w", "-s", "-l", folder / "log"]
    try:
        _run([programs / "initdb", "-D", data, "-U", _USER, "-A", "trust", "--locale=C", "-N"])
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        _run([*control, "-o", settings, "start"])
        try:
            yield Postgres(programs, folder)
        finally:
            _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def _find_programs() -> Path:
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent if found else Path(on_path or "").parent


def _run(command: list[str | Path]) -> None:
    """Run a PostgreSQL program, as user `postgres` if this process is root, which it refuses."""
    user = [_RUNUSER, "-u", "postgres", "--"] if os.geteuid() == _ROOT else []
    with tempfile.TemporaryFile("w+") as said:  # the server would keep a pipe open
        done = subprocess.run(
            [*user, *command],
            stdout=said,
            stderr=said,
            cwd="/",
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        said.seek(0)
        assert done.returncode == 0, said.read()


def read_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    """Return the stored rows of all tables, in the columns of the table specifications."""
    tables = {}
    for name, table in STORED_TABLES.items():
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        relation = connection.sql(f'SELECT {columns} FROM "{name}"')  # noqa: S608 names of synced tables
        tables[name] = relation.to_arrow_table().cast(table.arrow_schema)
    return tables
