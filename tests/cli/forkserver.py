"""Run commands in forks of a server process that has imported the package.

A command in a new interpreter spends most of its time on imports. `Console.run` uses this server
instead, unless the environment of the command concerns the interpreter itself.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MODULES = (
    "dlt",
    "duckdb",
    "pyarrow.parquet",
    "tower_etl.cli.bill",
    "tower_etl.cli.check",
    "tower_etl.cli.compare",
    "tower_etl.cli.query",
    "tower_etl.cli.report",
    "tower_etl.cli.status",
    "tower_etl.cli.sync",
    "tower_etl.cli.views",
    "tower_etl.extract.access",
    "tower_etl.pipeline",
    "tower_etl.report.render",
    "tower_etl.warehouse.status",
)
# Variables that the interpreter or a library reads only at its start.
_STARTUP = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC", "OMP_", "ARROW_", "TZ", "COVERAGE")


def can_fork(environ: Mapping[str, str]) -> bool:
    """Return whether a command with this environment may be forked."""
    return not any(name.startswith(_STARTUP) for name in environ)


def run_forked(
    args: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    streams: tuple[IO[bytes], IO[bytes], IO[bytes]],
    seconds: float,
) -> int:
    """Run `tower-etl` in a forked process and return its exit code as `subprocess` does.

    Raises:
        subprocess.TimeoutExpired: The command took too long and was killed.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            order = json.dumps({"args": [*args], "cwd": str(folder), "environ": dict(environ)})
            descriptors = [*(stream.fileno() for stream in streams), theirs.fileno()]
            socket.send_fds(_start_server(), [order.encode()], descriptors)
        ours.settimeout(seconds)
        with ours.makefile("r") as answers:
            pid = int(answers.readline())
            try:
                return int(answers.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired([*args], seconds) from None


@cache
def _start_server() -> socket.socket:
    """Start the server and return the socket that takes one command per message."""
    home = tempfile.TemporaryDirectory(prefix="forkserver-", ignore_cleanup_errors=True)
    atexit.register(home.cleanup)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.forkserver", str(theirs.fileno())],
            cwd=Path(__file__).parents[2],
            env=environ | {"HOME": home.name},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(server.terminate)
    return ours


def main(descriptor: int) -> None:
    """Serve until the client closes the socket."""
    for name in _MODULES:
        importlib.import_module(name)
    with socket.socket(fileno=descriptor) as orders:
        while True:
            message, descriptors, _, _ = socket.recv_fds(orders, 1 << 20, 4)
            if not message:
                return
            *streams, answer = descriptors
            connection = socket.socket(fileno=answer)
            pid = os.fork()
            if not pid:
                orders.close()
                connection.close()
                _run(json.loads(message), streams)
            for stream in streams:
                os.close(stream)
            threading.Thread(target=_wait, args=(pid, connection), daemon=True).start()


def _wait(pid: int, connection: socket.socket) -> None:
    with connection, suppress(BrokenPipeError):
        connection.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _run(order: Mapping[str, object], descriptors: Sequence[int]) -> None:
    """Replace the forked process by the command; never return."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        os.chdir(str(order["cwd"]))
        os.environ.clear()
        os.environ.update(order["environ"])  # type: ignore[call-overload] # JSON
        sys.modules["__main__"].__package__ = None  # otherwise click shows it as the program
        sys.argv = ["tower-etl", *order["args"]]  # type: ignore[misc] # JSON
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 open until the exit
            for number, mode in enumerate("rww")
        )
        from tower_etl.cli import main as run_command  # noqa: PLC0415 imported above

        run_command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
