"""Writing to standard output and standard error: encodings, closed streams, full disks, log lines.

Modules write to `logging.getLogger(__name__)`, as libraries do: a line per request at DEBUG, per
workspace and load package at INFO. Programs that import `tower_etl` configure logging themselves.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tower_etl.errors import ConfigurationError
from tower_etl.files import is_duckdb_file
from tower_etl.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STANDARD_OUTPUT = "standard output"
"""Filename of an `OSError` that is about standard output."""

_STANDARD_DESCRIPTORS = 3
_CONTROLS = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)),
    "\N{REPLACEMENT CHARACTER}",
)

LEVELS = ("debug", "info", "warning", "error")


def prepare_streams() -> None:
    r"""Make both streams escape a character that their encoding lacks, as in `\u03a9`.

    Descriptors that the caller has closed are opened on the null device. Otherwise the next file
    that is opened would get the free number, and with it everything that libraries print.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) < _STANDARD_DESCRIPTORS:
        pass
    os.close(handle)
    if sys.stderr is None:  # Python sets None if the descriptor was closed
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 stays open until exit
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def replace_controls(text: str) -> str:
    """Replace control characters, which could steer a terminal; keep line ends and tabs."""
    return text.translate(_CONTROLS)


def print_message(text: str) -> None:
    """Print human-readable text on standard output; raise the errors of `print_data`."""
    print_data(replace_controls(text) + "\n")


def check_output_path(output: str | None, flag: str) -> None:
    """Reject an output file that is a DuckDB file, which writing would replace.

    Raises:
        ConfigurationError: The file is a DuckDB file.
    """
    if output is not None and is_duckdb_file(Path(output).expanduser()):
        msg = f"{output} is a DuckDB file, which {flag} would replace. Choose another file."
        raise ConfigurationError(msg)


def print_data(text: str) -> None:
    """Print machine-readable text on standard output, unchanged.

    Raises:
        OSError: Standard output is closed, or its disk is full.
    """
    with open_output() as stream:
        stream.write(text)


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object on standard output; raise the errors of `print_data`."""
    print_data(json.dumps(value) + "\n")


def can_print(text: str) -> bool:
    """Return whether standard output can encode every character of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def open_output() -> Iterator[TextIO]:
    """Yield standard output and flush it at the end; a closed pipe is not an error.

    Raises:
        OSError: Standard output is closed, or its disk is full.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # noqa: TRY301 the error of a write
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        if error.errno != errno.EPIPE:
            raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from None


def print_notice(text: str) -> None:
    """Print human-readable text on standard error."""
    write_error(replace_controls(text) + "\n")


def write_error(text: str) -> None:
    """Write to standard error; ignore errors, because there is no other stream to report them."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def finish_streams() -> None:
    """Flush both streams; discard a buffer that cannot be written, or Python exits with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: TextIO | None) -> None:
    """Redirect a stream, with the content of its buffer, to the null device."""
    if stream is not None:
        with suppress(OSError):  # a stream without a descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _RedactingFormatter(logging.Formatter):
    """Formatter that masks secrets, as a safeguard: no module logs one on purpose."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


def configure_logging(level: str) -> None:
    """Write the lines of `tower_etl` of this level and above to standard error."""
    logger = logging.getLogger("tower_etl")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())


def show_info() -> None:
    """Write lines at INFO too, unless a lower level is configured already."""
    logger = logging.getLogger("tower_etl")
    if logger.level > logging.INFO:
        logger.setLevel(logging.INFO)
