"""What went wrong in a destination, as an error of the tree: the object, the cause, the remedy.

dlt, the databases and the libraries of lakes each wrap what the system or the database said. The
chain of causes is searched for the most telling one: an error of the tree, a shortage of the
machine, a code of PostgreSQL, an error of the operating system.
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
from tower_etl.os_errors import explain_os_error, find_number

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})
_LONGEST = 300
_ALTERED = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.ConversionException,
)


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn failures of the machine and of the destination into errors of the tree.

    Args:
        place: What messages call the destination.

    Raises:
        TowerEtlError: In the place of an exception that can be explained; others pass.
    """
    try:
        yield
    except TowerEtlError:
        raise
    except (PipelineStepFailed, DestinationException) as failure:
        raise unwrap_cause(failure, place) from failure
    except Exception as failure:
        error = explain(failure, place)
        if error is None:
            raise
        raise error from failure


def explain(failure: BaseException, place: str = "") -> TowerEtlError | None:
    """Return the error of the tree for a failure, None where nothing tells what it was.

    What a database says comes before what the system says, because both speak of permissions.

    Args:
        failure: With the chain of its causes.
        place: What messages call the destination where the failure names no file.
    """
    causes = list(iter_causes(failure))
    own = (cause for cause in causes if isinstance(cause, TowerEtlError))
    table = find_table(failure)
    databases = (explain_postgres(cause, place, table) for cause in causes)
    files = (_explain_duckdb(cause, place, table) for cause in causes)
    ordered = sorted(causes, key=lambda cause: not _is_full(cause))
    system = (explain_os_error(cause, place) for cause in ordered)
    return next((error for error in chain(own, databases, files, system) if error), None)


def unwrap_cause(failure: BaseException, place: str = "") -> TowerEtlError:
    """Return the error of the tree for a failure of dlt; an internal error where nothing fits."""
    if error := explain(failure, place):
        return error
    table = find_table(failure)
    step = next((c.step for c in iter_causes(failure) if isinstance(c, PipelineStepFailed)), "load")
    msg = (
        f"The rows{f' of {table}' if table else ''} could not be loaded (step {step}): "
        f"{describe_failure(failure)}. Committed data is safe. Run the same command again; if the "
        "error persists, report it with the output of TOWER_ETL_DEBUG=1."
    )
    return TowerEtlError(msg)


def describe_failure(failure: BaseException) -> str:
    """The innermost reason, on one line; a full disk before all that comes of it."""
    reasons = list(iter_causes(failure))
    full = [cause for cause in reasons if _is_full(cause)]
    return one_line(full[0] if full else reasons[-1])


def one_line(cause: BaseException) -> str:
    """Return what an exception says, on one line and not too long."""
    return " ".join(str(cause).split())[:_LONGEST] or type(cause).__name__


def iter_causes(failure: BaseException) -> Iterator[BaseException]:
    """The exception, and what caused it, from the outermost to the innermost."""
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def find_table(failure: BaseException) -> str | None:
    """Return the table whose rows dlt was loading, None where it was not loading any."""
    for cause in iter_causes(failure):
        if isinstance(cause, LoadClientJobException):
            return str(cause.job_id).partition(".")[0]
    return None


def _is_full(cause: BaseException) -> bool:
    return find_number(cause) in _FULL or isinstance(cause, duckdb.OutOfMemoryException)


def _explain_duckdb(cause: BaseException, place: str, table: str | None) -> TowerEtlError | None:
    reason = one_line(cause).rstrip(".")
    if isinstance(cause, duckdb.OutOfMemoryException):
        msg = (
            f"{place}: DuckDB ran out of memory or of temporary disk space: {reason}. Free memory "
            "and disk space, then run the same command again; committed data is safe."
        )
        return StorageError(msg)
    if isinstance(cause, duckdb.IOException) and "lock on file" in reason:
        msg = (
            f"Another program has a file of this sync open: {reason}. Close it, then run the same "
            "command again."
        )
        return DestinationError(msg)
    if isinstance(cause, _ALTERED):
        msg = (
            f"{place}{f', table {table}' if table else ''}: {reason}. A table or view is not as "
            "tower-etl made it. Undo what was changed, then run the same command again."
        )
        return ConfigurationError(msg)
    return None
