"""Translation of failures in a destination to a `TowerEtlError` with object, cause and action.

dlt and the libraries of databases and lakes wrap the original exception. The chain of causes is
searched for the most specific one: a `TowerEtlError`, a PostgreSQL error code, a DuckDB error, an
error of the operating system.

SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. psycopg2
has them in an attribute, but not for a refused or closed connection, which only its message
identifies.
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

from tower_etl.errors import (
    ConfigurationError,
    DestinationError,
    StorageError,
    TowerEtlError,
)
from tower_etl.files import explain_os_error, find_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


Kind = type[ConfigurationError] | type[DestinationError]

_AGAIN = "then run the same command again; committed data is safe"
_LOGIN = "Check user and password (~/.pgpass, PGPASSWORD, TOWER_ETL_POSTGRES, .dlt/secrets.toml)"
_ADDRESS = "Check the address and the server (--path, TOWER_ETL_POSTGRES, PGHOST, PGPORT)"
_ENCODING = "Use a database with the encoding UTF8: createdb --encoding UTF8"
_RIGHTS = (
    "Grant the user of the sync CREATE and TEMPORARY on the database, and make it the owner of the "
    "schema tower and of its tables"
)
_LOST = (
    "Restore the table from a backup. To fetch everything again instead, drop the schema tower, "
    f"{_AGAIN}"
)
_SCHEMA_CHANGED = (
    "The table is not as tower-etl made it. Undo the change, or rename the table if it is "
    f"not one of tower-etl, {_AGAIN}"
)

# By code, or by the two characters of its class; the full code takes precedence.
_CODES: Mapping[str, tuple[Kind, str]] = {
    "08": (DestinationError, f"Check the server and the network, {_AGAIN}"),
    "22": (ConfigurationError, _SCHEMA_CHANGED),
    "22021": (ConfigurationError, _ENCODING),
    "22P05": (ConfigurationError, _ENCODING),
    "23": (ConfigurationError, f"Drop the constraint or index that was added, {_AGAIN}"),
    "25006": (
        ConfigurationError,
        "Use the address of the primary server, or allow the user to write",
    ),
    "28": (ConfigurationError, _LOGIN),
    "3D": (ConfigurationError, "Create the database, or use the address of another one"),
    "3F": (
        ConfigurationError,
        f"Restore the schema from a backup, or drop the schema tower, {_AGAIN}",
    ),
    "40": (DestinationError, f"Wait for the other session, {_AGAIN}"),
    "42": (ConfigurationError, _SCHEMA_CHANGED),
    "42501": (ConfigurationError, _RIGHTS),
    "42P01": (ConfigurationError, _LOST),
    "53": (StorageError, f"Raise the limit of the server, or wait until it is less busy, {_AGAIN}"),
    "53100": (StorageError, f"Free disk space on the database server, {_AGAIN}"),
    "55": (DestinationError, f"Wait for the other session, {_AGAIN}"),
    "57": (DestinationError, f"Wait until the server is up, {_AGAIN}"),
    "57014": (DestinationError, f"Raise statement_timeout for the user of the sync, {_AGAIN}"),
    "P0": (ConfigurationError, f"Drop the trigger that was added, {_AGAIN}"),
}
_REACHABLE = frozenset({"28", "3D", "53", "57"})  # classes that a reachable server reports
_OTHER: tuple[Kind, str] = (DestinationError, f"See the log of the database server, {_AGAIN}")
_WORDS: Mapping[str, str] = {
    "too many": "53300",
    "connection slots": "53300",
    "password": "28P01",
    "authentication": "28000",
    "pg_hba.conf": "28000",
    'role "': "28000",
    'database "': "3D000",
    "starting up": "57P03",
    "shutting down": "57P03",
    "recovery mode": "57P03",
    "clos": "08006",
    "connection": "08006",
    "server": "08006",
}

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})
_MAX_CHARS = 300
_SCHEMA_ERRORS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.ConversionException,
)


def _explain_postgres(cause: BaseException, name: str, table: str | None) -> TowerEtlError | None:
    code = _find_code(cause)
    if code is None:
        return None
    kind, remedy = _CODES.get(code) or _CODES.get(code[:2]) or _OTHER
    subject = f"{name or 'PostgreSQL'}{f', table {table}' if table else ''}"
    return kind(f"{subject}: {_shorten(cause)} (SQLSTATE {code}). {remedy}.")


def explain_connection(error: BaseException) -> TowerEtlError:
    """Return the `TowerEtlError` for a connection that could not be established."""
    code = _find_code(error) or ""
    kind, remedy = _CODES[code[:2]] if code[:2] in _REACHABLE else (ConfigurationError, _ADDRESS)
    return kind(f"PostgreSQL cannot be reached: {_shorten(error)}. {remedy}.")


def _shorten(cause: BaseException) -> str:
    """Return the first line without a full stop; the lines after it may contain row values."""
    return " ".join(str(cause).strip().partition("\n")[0].split())[:300].rstrip(".")


def _find_code(cause: BaseException) -> str | None:
    """Return the SQLSTATE of an error of psycopg2, or the likeliest one by its message."""
    if type(cause).__module__.partition(".")[0] != "psycopg2":
        return None
    if code := getattr(cause, "pgcode", None):
        return str(code)
    text = str(cause).lower()
    return next((likely for words, likely in _WORDS.items() if words in text), None)


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
    except (PipelineStepFailed, DestinationException) as failure:
        raise unwrap_cause(failure, name) from failure
    except Exception as failure:
        error = explain(failure, name)
        if error in (None, failure):
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
    own_errors = (cause for cause in causes if isinstance(cause, TowerEtlError))
    table = _find_failed_table(failure)
    database_errors = (_explain_postgres(cause, name, table) for cause in causes)
    duckdb_errors = (_explain_duckdb(cause, name, table) for cause in causes)
    ordered = sorted(causes, key=lambda cause: not _is_full(cause))
    system_errors = (explain_os_error(cause, name) for cause in ordered)
    return next(
        (
            error
            for error in chain(own_errors, database_errors, duckdb_errors, system_errors)
            if error
        ),
        None,
    )


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
