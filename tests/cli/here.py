"""Commands in this process, with streams of a test in the place of the standard ones."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

import pytest

from tests.cli.console import Ended
from tower_etl.cli import main

if TYPE_CHECKING:
    from tests.cli.console import Console


class Run(Protocol):
    """Runs commands in this process."""

    def __call__(self, *args: str, out: TextIO | None, err: TextIO | None = None) -> Ended:
        """Run a command to its end; standard error is read back unless it is given."""


def settle(console: Console, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands in the folder and with the environment of a console."""
    monkeypatch.chdir(console.folder)
    for name, value in console.environ().items():
        monkeypatch.setenv(name, value)

    def run(*args: str, out: TextIO | None, err: TextIO | None = None) -> Ended:
        error = err or open_paper("utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["tower-etl", *args])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", error)
            with pytest.raises(SystemExit) as ended:
                main()
        return Ended(int(ended.value.code or 0), read_back(out), read_back(error))

    return run


def open_paper(encoding: str) -> TextIO:
    """A stream of an encoding, to be read back."""
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")


def read_back(stream: TextIO | None) -> str:
    """What was written to such a stream; nothing of any other."""
    buffer = getattr(stream, "buffer", None)
    if stream is None or not isinstance(buffer, io.BytesIO):
        return ""
    return buffer.getvalue().decode(stream.encoding)
