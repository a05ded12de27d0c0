"""Translation of failures in a destination to a `TowerEtlError` with object, cause and action.

dlt and the libraries of databases and lakes wrap the original exception. The chain of causes is
searched for the most specific one: a `TowerEtlError`, a PostgreSQL error code, a DuckDB error, an
error of the operating system.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import duckdb
from dlt.common.destination.exceptions import DestinationException
from dlt.load.exceptions import LoadClientJobException
from dlt.pipeline.exceptions import PipelineStepFailed

from tower_etl.destinations.postgres_errors import explain_postgres
from tower_etl.errors import (
    ConfigurationError,
    DestinationError,
    StorageError,
    TowerEtlError,
)
from tower_etl.files import explain_os_error, find_number

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})
_MAX_CHARS = 300
_SCHEMA_ERRORS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.ConversionException,
)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Translate failures of the machine and of the destination to a `TowerEtlError`.

    Args:
        name: Name of the destination in messages.

    Raises:
        TowerEtlError: An exception with a known cause was raised; other exceptions are propagated.
    """
    try:
        yield
    except TowerEtlError:
        raise
    except (PipelineStepFailed, DestinationException) as failure:
        raise unwrap_cause(failure, name) from failure
    except Exception as failure:
        error = explain(failure, name)
        if error is None:
            raise
        raise error from failure


def explain(failure: BaseException, name: str = "") -> TowerEtlError | None:
    """Return the `TowerEtlError` for a failure, or None if the cause is unknown.

    Errors of a database take precedence over errors of the operating system: both may be about
    permissions, and the database names the table.

    Args:
        failure: Exception with the chain of its causes.
        name: Name of the destination in messages, used if the failure names no file.
    """
    causes = list(iter_causes(failure))
    own = (cause for cause in causes if isinstance(cause, TowerEtlError))
    table = _find_failed_table(failure)
    databases = (explain_postgres(cause, name, table) for cause in causes)
    files = (_explain_duckdb(cause, name, table) for cause in causes)
    ordered = sorted(causes, key=lambda cause: not _is_full(cause))
    system = (explain_os_error(cause, name) for cause in ordered)
    return next((error for error in chain(own, databases, files, system) if error), None)


def unwrap_cause(failure: BaseException, name: str = "") -> TowerEtlError:
    """Return the `TowerEtlError` for a failure of dlt; an internal error for an unknown cause."""
    if error := explain(failure, name):
        return error
    table = _find_failed_table(failure)
    step = next((c.step for c in iter_causes(failure) if isinstance(c, PipelineStepFailed)), "load")
    msg = (
        f"The rows{f' of {table}' if table else ''} could not be loaded (step {step}): "
        f"{describe_failure(failure)}. Committed data is safe. Run the same command again; if the "
        "error persists, report it with the output of TOWER_ETL_DEBUG=1."
    )
    return TowerEtlError(msg)


def describe_failure(failure: BaseException) -> str:
    """Return the innermost cause on one line; a full disk precedes errors that follow from it."""
    reasons = list(iter_causes(failure))
    full = [cause for cause in reasons if _is_full(cause)]
    return one_line(full[0] if full else reasons[-1])


def one_line(cause: BaseException) -> str:
    """Return the message of an exception on one line of at most 300 characters."""
    return " ".join(str(cause).split())[:_MAX_CHARS] or type(cause).__name__


def iter_causes(failure: BaseException) -> Iterator[BaseException]:
    """Iterate over an exception and its causes, from the outermost to the innermost."""
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _find_failed_table(failure: BaseException) -> str | None:
    """Return the table that dlt was loading, or None if the failure was in another step."""
    for cause in iter_causes(failure):
        if isinstance(cause, LoadClientJobException):
            return str(cause.job_id).partition(".")[0]
    return None


def _is_full(cause: BaseException) -> bool:
    return find_number(cause) in _FULL or isinstance(cause, duckdb.OutOfMemoryException)


def _explain_duckdb(cause: BaseException, name: str, table: str | None) -> TowerEtlError | None:
    reason = one_line(cause).rstrip(".")
    if isinstance(cause, duckdb.OutOfMemoryException):
        msg = (
            f"{name}: DuckDB ran out of memory or of temporary disk space: {reason}. Free memory "
            "and disk space, then run the same command again; committed data is safe."
        )
        return StorageError(msg)
    if isinstance(cause, duckdb.IOException) and "lock on file" in reason:
        msg = (
            f"Another program has a file of this sync open: {reason}. Close it, then run the same "
            "command again."
        )
        return DestinationError(msg)
    if isinstance(cause, _SCHEMA_ERRORS):
        msg = (
            f"{name}{f', table {table}' if table else ''}: {reason}. A table or view is not as "
            "tower-etl made it. Undo the change, then run the same command again."
        )
        return ConfigurationError(msg)
    return None
