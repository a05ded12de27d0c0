"""What ends a command with an error: a sentence, an exit code, and the object of `--json`."""

from __future__ import annotations

import errno
import io
import json
import os
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli.output import STANDARD_OUTPUT, print_data, print_notice
from tower_etl.errors import TowerEtlError
from tower_etl.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.http import Meter

_INTERRUPTED = 130
_SHOWN_CHARS = 300

# Errors that a path or its permissions cause; all others are of the machine, and may pass.
_REMEDIES: Mapping[int, str] = {
    errno.EACCES: "Change its permissions, or give another path.",
    errno.EPERM: "Change its permissions, or give another path.",
    errno.EROFS: "Give a path on a file system that can be written.",
    errno.ENOENT: "Create its folder, or give another path.",
    errno.EBADF: "Open it, or redirect it to a file.",
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL),
        "Give another path.",
    ),
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class CostlyError(Exception):
    """A command failed, for the reason that is its cause, after calls were made.

    Attributes:
        meter: Counted them.
    """

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self.meter = meter


@dataclass(frozen=True)
class Failure:
    """How a command ends.

    Attributes:
        message: What failed, why, and what to do next, on one line.
        code: Exit code by the contract.
    """

    message: str
    code: int


def report_failure(error: BaseException, *, as_json: bool) -> int:
    """Print why a command failed, as an object on standard output too; return the exit code."""
    cause = error.__cause__ if isinstance(error, CostlyError) and error.__cause__ else error
    failure = explain(cause)
    if isinstance(cause, click.UsageError):
        paper = io.StringIO()
        cause.show(file=paper)  # with the usage before it
        print_notice(redact_text(paper.getvalue().rstrip("\n")))
    elif failure.code != _INTERRUPTED:
        print_notice(f"Error: {failure.message}")
    if os.environ.get("TOWER_ETL_DEBUG") and not isinstance(cause, click.ClickException):
        print_notice(redact_text("".join(traceback.format_exception(cause))))
    if as_json:
        meter = error.meter if isinstance(error, CostlyError) else None
        with suppress(OSError):  # there is no other place for it
            print_data(json.dumps(describe_failure(failure.message, meter)) + "\n")
    return failure.code


def explain(error: BaseException) -> Failure:
    """The sentence and the exit code for an exception."""
    if isinstance(error, click.ClickException):
        return Failure(redact_text(error.format_message()), error.exit_code)
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return Failure("The command was interrupted. Run it again to go on.", _INTERRUPTED)
    if isinstance(error, TowerEtlError):
        return Failure(str(error), error.exit_code)
    if isinstance(error, OSError) and error.errno is not None:
        return _explain_system_error(error, error.errno)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of pathlib
        return Failure("This user has no home directory: set HOME, or give paths without ~.", 2)
    reason = redact_text(" ".join(str(error).split()))[:_SHOWN_CHARS]
    msg = (
        f"Internal error ({type(error).__name__}: {reason}). Committed data is safe. Run the "
        "command again; if the error persists, report it with the output of TOWER_ETL_DEBUG=1."
    )
    return Failure(msg, 1)


def _explain_system_error(error: OSError, number: int) -> Failure:
    """A full disk and the like is 5, a path that cannot be used is 2."""
    reason = error.strerror or os.strerror(number)
    if error.filename == STANDARD_OUTPUT:
        problem = f"Standard output cannot be written ({reason}); committed data is safe."
    elif error.filename is None:
        problem = f"The operating system refused an operation ({reason})."
    else:
        problem = f"{os.fsdecode(error.filename)} cannot be written or read ({reason})."
    if number in _FULL:
        return Failure(f"{problem} Free disk space, and run the command again.", 5)
    if number in _REMEDIES:
        return Failure(f"{problem} {_REMEDIES[number]}", 2)
    return Failure(f"{problem} Run the command again; if it fails again, look at the machine.", 5)


def describe_failure(message: str, meter: Meter | None = None) -> dict[str, Any]:
    """The object of `--json` for a command that failed; without a meter, it made no call."""
    spent = meter and meter.read()
    return {
        "status": "failed",
        "calls": spent.calls if spent else 0,
        "retries": spent.retries if spent else 0,
        "throttled_seconds": round(spent.throttled_seconds, 3) if spent else 0.0,
        "rows": {},
        "workspaces": [],
        "seconds": round(meter.seconds, 3) if meter else 0.0,
        "warnings": [],
        "undocumented": {},
        "error": message,
    }
