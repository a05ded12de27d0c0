"""Tables in databases of dlt's SQLAlchemy destination: wide text columns, and indexes on keys.

dlt declares text in MySQL and MariaDB as `TEXT`: at most 65,535 bytes, in the character set and
collation of the server. dlt's stored schema is twice as long, as scripts and configurations may be.
MariaDB's default before 11.6 is Latin-1, and run ids that differ only in case would be one key.

dlt declares no index, and merges with a subquery per stored row: without an index on the staged
rows, the database compares every stored row with every staged one.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable


_MYSQL = frozenset({"mysql", "mariadb"})
_INDEXED = (*sorted(_MYSQL), "sqlite")
_PREFIX = 64  # characters of a text that MySQL puts into an index; a run id has 14


def adapt_dialects() -> None:
    """Register dialects in dlt that declare the source's tables in MySQL, MariaDB and SQLite.

    This must be done before a pipeline loads, even if it only loads a pending package. Other tables
    are unchanged, except that dlt's internal tables get wide text columns. Importing SQLAlchemy
    takes half a second, and is skipped if it is not installed.
    """
    if not find_spec("sqlalchemy"):
        return
    from dlt.destinations.impl.sqlalchemy import dialect  # noqa: PLC0415 imports SQLAlchemy

    for name in _INDEXED:
        known = dialect.DIALECT_CAPS_REGISTRY[name]
        if not issubclass(known, _Adapted):
            adapted = type(known.__name__, (_Adapted, known), {})
            dialect.register_dialect_capabilities(name, adapted)


class _Adapted:
    """Mixin for dlt's `DialectCapabilities`."""

    _backend_name: str

    def adapt_table(self, table: Any, table_schema: Any) -> Any:  # noqa: ANN401 SQLAlchemy's, an optional dependency
        """Return a SQLAlchemy table with wide text columns and an index on the key."""
        base: Any = super()
        adapted, name = base.adapt_table(table, table_schema), table_schema["name"]
        if self._backend_name in _MYSQL and (name in TABLES or name.startswith("_dlt_")):
            _widen_text(adapted)
        if name in TABLES:
            _index_key(adapted, TABLES[name].key)
        return adapted


def _widen_text(table: Any) -> None:  # noqa: ANN401 SQLAlchemy's, an optional dependency
    import sqlalchemy  # noqa: PLC0415 an optional dependency
    from sqlalchemy.dialects.mysql import LONGTEXT  # noqa: PLC0415 an optional dependency

    for column in table.columns:
        if isinstance(column.type, sqlalchemy.Text):
            column.type = LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin")


def _index_key(table: Any, key: Iterable[str]) -> None:  # noqa: ANN401 SQLAlchemy's, an optional dependency
    import sqlalchemy  # noqa: PLC0415 an optional dependency

    index = f"{table.name}_key"
    columns = [table.columns[name] for name in key if name in table.columns]
    if columns and index not in {known.name for known in table.indexes}:
        texts = [column.name for column in columns if isinstance(column.type, sqlalchemy.String)]
        sqlalchemy.Index(index, *columns, mysql_length=dict.fromkeys(texts, _PREFIX))


def check_text_width(client: Any) -> None:  # noqa: ANN401 dlt's SQL client for SQLAlchemy
    """Reject existing tables in MySQL or MariaDB with text columns of 65,535 bytes.

    Raises:
        ConfigurationError: A table of the source, or dlt's stored schema, has such a column.
    """
    if client.dialect_name not in _MYSQL:
        return
    query = (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE data_type = 'text' AND table_schema IN (%s, %s) ORDER BY 1, 2, 3"
    )
    found = client.execute_sql(query, client.dataset_name, client.staging_dataset_name) or ()
    for schema, table, column in found:
        if table in TABLES or table == "_dlt_version":
            msg = (
                f"The column {schema}.{table}.{column} holds 65,535 bytes only, which is less than "
                "the text that may be loaded into it. Use another dataset_name, or change the text "
                "columns of this one to LONGTEXT with CHARACTER SET utf8mb4 COLLATE utf8mb4_bin."
            )
            raise ConfigurationError(msg)
