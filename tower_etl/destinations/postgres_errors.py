"""Translation of PostgreSQL errors to a `TowerEtlError` with object, cause and action.

SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. psycopg2 and ADBC
have them in an attribute, but not for a refused or closed connection, which only its message
identifies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError, DestinationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.errors import TowerEtlError

Kind = type[ConfigurationError] | type[DestinationError]

_CLIENTS = frozenset({"psycopg2"})
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


def explain_postgres(
    cause: BaseException, name: str = "", table: str | None = None
) -> TowerEtlError | None:
    """Return the `TowerEtlError` for an error of a PostgreSQL client, None for another exception.

    Args:
        cause: Any exception.
        name: Name of the database in messages.
        table: Table that was being loaded, if known.
    """
    code = find_code(cause)
    if code is None:
        return None
    kind, remedy = _CODES.get(code) or _CODES.get(code[:2]) or _OTHER
    subject = f"{name or 'PostgreSQL'}{f', table {table}' if table else ''}"
    return kind(f"{subject}: {_shorten(cause)} (SQLSTATE {code}). {remedy}.")


def explain_connection(error: BaseException) -> TowerEtlError:
    """Return the `TowerEtlError` for a connection that could not be established."""
    code = find_code(error) or ""
    kind, remedy = _CODES[code[:2]] if code[:2] in _REACHABLE else (ConfigurationError, _ADDRESS)
    return kind(f"PostgreSQL cannot be reached: {_shorten(error)}. {remedy}.")


def _shorten(cause: BaseException) -> str:
    """Return the first line without a full stop; the lines after it may contain row values."""
    return " ".join(str(cause).strip().partition("\n")[0].split())[:300].rstrip(".")


def find_code(cause: BaseException) -> str | None:
    """Return the SQLSTATE of a PostgreSQL client's error, or the likeliest one by its message."""
    if type(cause).__module__.partition(".")[0] not in _CLIENTS:
        return None
    code = getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
    if code:
        return str(code)
    text = str(cause).lower()
    return next((likely for words, likely in _WORDS.items() if words in text), None)
