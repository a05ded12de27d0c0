"""Tables in databases that dlt reaches through SQLAlchemy: wide text, and an index on the key.

dlt declares text in MySQL and MariaDB as `TEXT`, which holds 65,535 bytes in the character set and
collation of the server. dlt's own record of the schema has twice as many, as may scripts and
configurations; MariaDB's default before 11.6 is Latin-1, and run ids that differ in case alone
would be one key.

dlt declares no index, and merges with a subquery for each stored row: without an index on the
staged rows, the database compares every stored row with every staged one.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import dlt

from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.source.dispositions import choose_disposition, is_upsert
from tower_etl.source.sharing import refuse_shared_dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.client import JobClientBase
    from dlt.common.schema.typing import TTableSchema
    from dlt.extract import DltResource, DltSource

    from tower_etl.schema import TableSpec

_MYSQL = frozenset({"mysql", "mariadb"})
_INDEXED = (*sorted(_MYSQL), "sqlite")
_PREFIX = 64  # characters of a text that MySQL puts into an index; a run id has 14


def adapt_dialects() -> None:
    """Have dlt declare the source's tables so in MySQL, MariaDB and SQLite.

    That must be done before a pipeline loads, also where it goes on with a pending package and
    extracts nothing. dlt's other tables stay as they are, but that its own get wide text.
    SQLAlchemy takes half a second to import: who does not have it does not wait.
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
    """Mixed into dlt's `DialectCapabilities`."""

    _backend_name: str

    def adapt_table(self, table: Any, table_schema: Any) -> Any:  # noqa: ANN401 SQLAlchemy's, an optional dependency
        """Return a table of SQLAlchemy as it is to be declared."""
        base: Any = super()
        adapted, name = base.adapt_table(table, table_schema), table_schema["name"]
        if self._backend_name in _MYSQL and (name in TABLES or name.startswith("_dlt_")):
            _widen_text(adapted)
        if name in TABLES:
            _index_key(adapted, TABLES[name].key)
        return adapted


def _widen_text(table: Any) -> None:  # noqa: ANN401 SQLAlchemy's, an optional dependency
    import sqlalchemy  # noqa: PLC0415 an optional dependency
    from sqlalchemy.dialects.mysql import LONGTEXT  # noqa: PLC0415 as above

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


def refuse_narrow_text(client: Any) -> None:  # noqa: ANN401 dlt's SQL client for SQLAlchemy
    """Check that MySQL or MariaDB has no table already whose text columns hold 65,535 bytes.

    Raises:
        ConfigurationError: One has.
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
                f"The column {schema}.{table}.{column} holds 65,535 bytes only, less than what is "
                "loaded into it. Use another dataset_name, or change the text columns of this one "
                "to LONGTEXT with CHARACTER SET utf8mb4 COLLATE utf8mb4_bin."
            )
            raise ConfigurationError(msg)


def adapt_resources(
    source: DltSource,
    pipeline: dlt.Pipeline | None,
    client: JobClientBase | None,
    tables: Iterable[TableSpec],
) -> tuple[TableSpec, ...]:
    """Fit the resources that are about to be extracted to the destination of the pipeline.

    Args:
        source: The source that is being extracted; the hints of its resources are changed.
        pipeline: The pipeline that extracts it; None where the source is only iterated.
        client: Of its destination; None where it has none yet.
        tables: The tables of its resources.

    Returns:
        The tables whose rows must be prepared for an upsert.

    Raises:
        ConfigurationError: The destination cannot hold these tables exactly.
    """
    if pipeline is None or client is None:
        return ()
    selected = source.resources.selected
    chosen = [table for table in tables if table.name in selected]
    upserted = tuple(
        table
        for table in chosen
        if _set_disposition(
            selected[table.name], source.schema.tables.get(table.name), client.capabilities
        )
    )
    refuse_shared_dataset(pipeline, client)
    if isinstance(pipeline.destination, dlt.destinations.sqlalchemy):
        _adapt_to_sqlalchemy(client, [(selected[table.name], table) for table in chosen])
    return upserted


def _set_disposition(
    resource: DltResource, known: TTableSchema | None, capabilities: DestinationCapabilitiesContext
) -> bool:
    """Check the write disposition of a resource; return whether its rows are upserted.

    Args:
        resource: The resource.
        known: Its table in the schema of the pipeline, which keeps what earlier runs asked for.
        capabilities: What the destination can do.
    """
    before: Mapping[str, Any] = known or {}
    table_format: Any = resource.table_format or before.get("table_format")
    requested: Any = resource.write_disposition
    chosen: Any = choose_disposition(capabilities, table_format, requested)
    strategy = chosen["strategy"] if isinstance(chosen, dict) else None
    if strategy and before.get("x-merge-strategy", strategy) != strategy:
        resource.apply_hints(write_disposition=chosen)  # costs 10 ms, so only where it differs
    return is_upsert(chosen)


def _adapt_to_sqlalchemy(client: Any, resources: Iterable[tuple[DltResource, TableSpec]]) -> None:  # noqa: ANN401 dlt's
    """JSON goes into text columns: SQLAlchemy would encode the text once more."""
    for resource, table in resources:
        columns: Any = {c.name: {"data_type": "text"} for c in table.columns if c.is_json}
        if columns:  # dlt takes an empty mapping for the wish to drop all hints of columns
            resource.apply_hints(columns=columns)
    with client.sql_client as sql:
        refuse_narrow_text(sql)
