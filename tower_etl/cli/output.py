"""Standard output and standard error, in any encoding, open, closed or full."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD_OUTPUT = "standard output"
"""Names the stream in an `OSError`, where the path of a file would stand."""

_STANDARD_DESCRIPTORS = 3
_CONTROLS = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)),
    "\N{REPLACEMENT CHARACTER}",
)


def prepare_streams() -> None:
    r"""Let both streams write `\u03a9` for a character that their encoding lacks.

    A descriptor that the caller has closed is opened on the null device: the next file to be
    opened would get its number, and everything that libraries print.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) < _STANDARD_DESCRIPTORS:
        pass
    os.close(handle)
    if sys.stderr is None:  # Python leaves it so where the descriptor was closed
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 it stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def replace_controls(text: str) -> str:
    """Replace the characters that steer a terminal; line ends and tabs stay."""
    return text.translate(_CONTROLS)


def print_message(text: str) -> None:
    """Print text for people on standard output; see `print_data` for the errors."""
    print_data(replace_controls(text) + "\n")


def print_data(text: str) -> None:
    """Print text for programs on standard output, as it is.

    Raises:
        OSError: Standard output is closed, or its disk is full.
    """
    with open_output() as stream:
        stream.write(text)


def can_print(text: str) -> bool:
    """Return whether the encoding of standard output has every character of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def open_output() -> Iterator[TextIO]:
    """Give standard output, to be flushed at the end; without a reader, discard what is written.

    Raises:
        OSError: It is closed, or its disk is full.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # noqa: TRY301 as a write would
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        if error.errno != errno.EPIPE:
            raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from None


def print_notice(text: str) -> None:
    """Print text for people on standard error."""
    write_error(replace_controls(text) + "\n")


def write_error(text: str) -> None:
    """Write to standard error; where it is closed or full, there is nowhere left to say so."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def finish_streams() -> None:
    """Write what is left in the buffers, or discard it: Python would end with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: TextIO | None) -> None:
    """Let a stream lead to the null device, what is still in its buffer included."""
    if stream is not None:
        with suppress(OSError):  # it is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
