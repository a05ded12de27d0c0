"""Run the command line as a user does: in a process, with a folder and a home directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tests.cli.forkserver import can_fork, run_forked
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

TOWER_ETL = str(Path(sys.executable).with_name("tower-etl"))
_LONGEST_SECONDS = 120
_PROGRESS = re.compile(
    r"^(Connecting to the platform \.\.\.|Listing: .* calls|[\d,]+ of [\d,]+ runs, .*)\n",
    re.MULTILINE,
)

KEYS: dict[str, type | tuple[type, ...]] = {
    "status": str,
    "calls": int,
    "retries": int,
    "throttled_seconds": (int, float),
    "rows": dict,
    "workspaces": list,
    "seconds": (int, float),
}


def drop_progress(err: str) -> str:
    """Return standard error without the progress lines that appear on a slow machine."""
    return _PROGRESS.sub("", err)


@dataclass(frozen=True)
class Ended:
    """The result of a command.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Parse standard output, which must be exactly one JSON value."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Console:
    """A user at a terminal, with a token.

    Attributes:
        folder: Working directory of the commands.
        home: Home directory of the user.
        variables: Environment variables in addition to the token.
    """

    folder: Path
    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *args: str, **variables: str | None) -> Ended:
        """Run `tower-etl` and return its result; a variable of None is not set."""
        environ = self.environ(**variables)
        if can_fork(environ):
            return self._fork(args, environ)
        done = subprocess.run(
            [TOWER_ETL, *args],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout, drop_progress(done.stderr))

    def _fork(self, args: tuple[str, ...], environ: dict[str, str]) -> Ended:
        """Run `tower-etl` without a new interpreter."""
        with (
            Path(os.devnull).open("rb") as nothing,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            code = run_forked(args, self.folder, environ, (nothing, out, err), _LONGEST_SECONDS)
            out.seek(0)
            err.seek(0)
            shown = out.read().decode(errors="backslashreplace").replace("\r\n", "\n")
            return Ended(code, shown, drop_progress(err.read().decode().replace("\r\n", "\n")))

    def start(self, *args: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start `tower-etl` and return the running process."""
        return subprocess.Popen(
            [TOWER_ETL, *args],
            cwd=self.folder,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def environ(self, **variables: str | None) -> dict[str, str]:
        """Return the environment of a command, without settings of the developer."""
        chosen = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home.with_name("state")),  # for the rate limit store
            "NO_PROXY": "*",
            "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
            **self.variables,
            **variables,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def list_files(self) -> dict[str, bytes | None]:
        """Return all paths in folder and home with their content, None for a folder."""
        return {
            str(path): path.read_bytes() if path.is_file() else None
            for root in (self.folder, self.home)
            for path in sorted(root.rglob("*"))
        }

    def select(self, sql: str, path: str = "runs.duckdb") -> list[tuple[Any, ...]]:
        """Return the rows of a query of a target, with unqualified table names."""
        with duckdb.connect(str(self.folder / path), read_only=True) as connection:
            connection.execute(f'USE "{Path(path).stem}".tower')
            return connection.execute(sql).fetchall()

    def list_runs(self) -> set[str]:
        """Return the ids of the runs in the default file."""
        return {run_id for (run_id,) in self.select("SELECT id FROM workflows")}


def make_console(root: Path) -> Console:
    """Return a console with an empty folder and an empty home below `root`."""
    console = Console(root / "work", root / "home")
    console.folder.mkdir()
    console.home.mkdir()
    return console


def expect_contract(result: dict[str, Any]) -> None:
    """Assert that an object has every key of the contract, with its type."""
    assert {key: isinstance(result[key], kind) for key, kind in KEYS.items()} == dict.fromkeys(
        KEYS, True
    )
    assert all({"id", "status", "error"} <= space.keys() for space in result["workspaces"])
    assert all(isinstance(count, int) for count in result["rows"].values())
