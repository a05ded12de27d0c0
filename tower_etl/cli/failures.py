"""Error reporting: the message, the exit code and the `--json` object of a failed command."""

from __future__ import annotations

import io
import os
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli.output import STANDARD_OUTPUT, print_json, print_notice
from tower_etl.config.catalog import SETTINGS, is_enabled
from tower_etl.errors import TowerEtlError
from tower_etl.files import explain_os_error
from tower_etl.redaction import redact_text

if TYPE_CHECKING:
    from tower_etl.http import RequestMetrics

_INTERRUPTED = 130
_SHOWN_CHARS = 300


class ApiCommandError(Exception):
    """Failure of a command that calls the API; `__cause__` is the error itself.

    Attributes:
        metrics: Counters of the calls made before the failure.
    """

    def __init__(self, metrics: RequestMetrics) -> None:
        super().__init__()
        self.metrics = metrics


def report_failure(error: BaseException, *, as_json: bool) -> int:
    """Print why a command failed, with `--json` also as an object, and return the exit code."""
    cause = error.__cause__ if isinstance(error, ApiCommandError) and error.__cause__ else error
    message, code = explain_failure(cause)
    if isinstance(cause, click.UsageError):
        buffer = io.StringIO()
        cause.show(file=buffer)  # show() writes the usage line before the message
        print_notice(redact_text(buffer.getvalue().rstrip("\n")))
    elif code != _INTERRUPTED:
        print_notice(f"Error: {message}")
    is_debugging = is_enabled(os.environ.get(SETTINGS["debug"].env_name))
    if is_debugging and not isinstance(cause, click.ClickException):
        print_notice(redact_text("".join(traceback.format_exception(cause))))
    if as_json:
        metrics = error.metrics if isinstance(error, ApiCommandError) else None
        with suppress(OSError):  # the message is on standard error already
            print_json(_failure_as_json(message, metrics))
    return code


def explain_failure(error: BaseException) -> tuple[str, int]:
    """Return what failed, why and what to do next on one line, and the exit code (README)."""
    if isinstance(error, click.ClickException):
        return redact_text(error.format_message()), error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "The command was interrupted. Run it again to resume.", _INTERRUPTED
    known_error = error if isinstance(error, TowerEtlError) else explain_os_error(error)
    if known_error is not None:
        return str(known_error), known_error.exit_code
    if isinstance(error, OSError) and error.errno is not None:
        return _explain_system_error(error)
    # Path.expanduser raises a plain RuntimeError.
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return "This user has no home directory. Set HOME, or use paths without ~.", 2
    reason = redact_text(" ".join(str(error).split()))[:_SHOWN_CHARS]
    msg = (
        f"Internal error ({type(error).__name__}: {reason}). Committed data is safe. Run the "
        "command again; if the error persists, report it with the output of TOWER_ETL_DEBUG=1."
    )
    return msg, 1


def _explain_system_error(error: OSError) -> tuple[str, int]:
    """Return exit code 2 for an unusable standard output, 5 for errors that may be transient."""
    reason = error.strerror or type(error).__name__
    if error.filename == STANDARD_OUTPUT:
        msg = f"{reason}: {STANDARD_OUTPUT}. Open it, or redirect it to a file."
        return msg, 2
    msg = f"{reason}: refused by the operating system. Run the same command again."
    return msg, 5


def _failure_as_json(message: str, metrics: RequestMetrics | None) -> dict[str, Any]:
    """Return the `--json` object of a failed command; `metrics` is None if it made no call."""
    stats = metrics and metrics.snapshot()
    return {
        "status": "failed",
        "calls": stats.calls if stats else 0,
        "retries": stats.retries if stats else 0,
        "throttled_seconds": round(stats.throttled_seconds, 3) if stats else 0.0,
        "rows": {},
        "workspaces": [],
        "seconds": round(metrics.seconds, 3) if metrics else 0.0,
        "warnings": [],
        "undocumented": {},
        "error": message,
    }
