"""A MariaDB server for the tests, in a temporary folder and on a loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
_LONGEST_SECONDS = 60
_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"  # cron and CI lack sbin
_PROGRAMS = ("mariadb-install-db", "mariadbd")
_ROOT = 0


@contextmanager
def start_mariadb() -> Iterator[int]:
    """Start an empty server and yield its port; skip the test if MariaDB is not installed."""
    installer, program = (shutil.which(name, path=_PLACES) for name in _PROGRAMS)
    if installer is None or program is None:
        pytest.skip("MariaDB is not installed: apt-get install mariadb-server")
    folder = Path(tempfile.mkdtemp(prefix="tower-etl-"))
    as_user = ["--user=mysql"] if os.geteuid() == _ROOT else []
    if as_user:
        shutil.chown(folder, "mysql")
    options = ["--no-defaults", f"--datadir={folder}/data", *as_user]
    try:
        _run([installer, *options, "--auth-root-authentication-method=normal", "--skip-test-db"])
        port = _find_port()
        listen = [f"--bind-address={HOST}", f"--port={port}", f"--socket={folder}/socket"]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen([program, *options, *listen], stderr=log) as server,
        ):
            try:
                _wait_for(server, port)
                yield port
            finally:
                server.kill()
    finally:
        shutil.rmtree(folder)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST_SECONDS)


def _find_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
    return port


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            pymysql.connect(host=HOST, port=port, user="root").close()
        except pymysql.err.OperationalError:
            time.sleep(0.05)  # the server does not signal that it is ready
        else:
            return
    message = "the MariaDB of the tests did not start"
    raise AssertionError(message)
