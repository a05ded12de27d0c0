"""Run commands in the test process, with test streams in place of the standard ones."""

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
    """A function that runs commands in the test process."""

    def __call__(self, *args: str, out: TextIO | None, err: TextIO | None = None) -> Ended:
        """Run a command and return its result; capture standard error unless it is given."""


def settle(console: Console, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs commands in the folder and environment of a console."""
    monkeypatch.chdir(console.folder)
    for name, value in console.environ().items():
        monkeypatch.setenv(name, value)

    def run(*args: str, out: TextIO | None, err: TextIO | None = None) -> Ended:
        error = err or open_stream("utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["tower-etl", *args])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", error)
            with pytest.raises(SystemExit) as ended:
                main()
        return Ended(int(ended.value.code or 0), read_back(out), read_back(error))

    return run


def open_stream(encoding: str) -> TextIO:
    """Return an in-memory stream with an encoding, for `read_back`."""
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")


def read_back(stream: TextIO | None) -> str:
    """Return the text that was written to an in-memory stream; empty for other streams."""
    buffer = getattr(stream, "buffer", None)
    if stream is None or not isinstance(buffer, io.BytesIO):
        return ""
    return buffer.getvalue().decode(stream.encoding)
