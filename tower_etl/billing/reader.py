"""Reading of one export file with DuckDB as Arrow batches in the columns of `bill_lines`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.billing import aws, focus
from tower_etl.billing.columns import ExportColumns
from tower_etl.errors import ConfigurationError
from tower_etl.schema import BILL_LINES
from tower_etl.text import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tower_etl.billing.columns import TagMapping

_BATCH_ROWS = 10_000
_UNKNOWN_PERIOD = "1970-01"
# By default DuckDB uses up to 80 % of the machine's memory. A single thread preserves the order of
# the lines. The small CSV buffer stays within the limit; the default of 32 MB fails on 1 kB lines.
_SETTINGS = ("SET memory_limit = '300MB'", "SET threads = 1", "SET TimeZone = 'UTC'")
_CSV = (
    "header = true, delim = ',', quote = '\"', escape = '\"', all_varchar = true, "
    "buffer_size = 4194304, max_line_size = 1048576"
)


@dataclass(frozen=True)
class ExportFormat:
    """A format of exports.

    Attributes:
        title: Name of the format in messages.
        required: Normalized names of the columns that every file must have.
        select_columns: Returns an expression for each column of `bill_lines` that is read from an
            export line.
    """

    title: str
    required: tuple[str, ...]
    select_columns: Callable[[ExportColumns, TagMapping], Mapping[str, str]]


FORMATS: Mapping[str, ExportFormat] = MappingProxyType(
    {
        "aws": ExportFormat(aws.TITLE, aws.REQUIRED, aws.select_columns),
        "focus": ExportFormat(focus.TITLE, focus.REQUIRED, focus.select_columns),
    }
)


def check_format(path: Path, name: str, provider: str) -> None:
    """Reject an export file of another format, by its columns.

    Args:
        path: Local path of the file.
        name: Name of the file in messages.
        provider: A key of `FORMATS`.

    Raises:
        ConfigurationError: The file cannot be read, or lacks a column of the format.
    """
    with duckdb.connect() as connection, _explained(name):
        for setting in _SETTINGS:
            connection.execute(setting)
        _read_columns(connection, _source_of(path), provider, name)


def iter_lines(
    path: Path, name: str, provider: str, mapping: TagMapping, period: str | None = None
) -> Iterator[pa.Table]:
    """Read an export file.

    Args:
        path: Local path of the file.
        name: Name of the file in messages and in `source_file`.
        provider: A key of `FORMATS`.
        mapping: Tags that identify runs, tasks and compute environments.
        period: Billing period in the path of the export, for lines without one.

    Yields:
        Rows in the columns of `bill_lines`, without line numbers.

    Raises:
        ConfigurationError: The file has another format or contains an invalid value.
    """
    with duckdb.connect() as connection, _explained(name):
        for setting in _SETTINGS:
            connection.execute(setting)
        source = _source_of(path)
        columns = _read_columns(connection, source, provider, name)
        sql = _select(columns, FORMATS[provider], mapping, name)
        reader = connection.sql(f"{sql} FROM {source}").to_arrow_reader(_BATCH_ROWS)
        fallback_period = period
        for batch in reader:
            rows = pa.Table.from_batches([batch])
            fallback_period = fallback_period or pc.min(rows["billing_period"]).as_py()
            yield _conform(rows, fallback_period or _UNKNOWN_PERIOD)


def _read_columns(
    connection: duckdb.DuckDBPyConnection, source: str, provider: str, name: str
) -> ExportColumns:
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 quoted
    columns = ExportColumns({row[0]: row[1] for row in described})
    if missing := columns.missing(FORMATS[provider].required):
        found = ", ".join(list(columns.types)[:5])
        msg = (
            f"{name} is not {FORMATS[provider].title}: missing column {', '.join(missing)} "
            f"(found: {found}, ...). Check --provider and the file."
        )
        raise ConfigurationError(msg)
    return columns


def _source_of(path: Path) -> str:
    quoted = quote_text(str(path))
    if path.name.endswith(".parquet"):
        return f"read_parquet({quoted}, hive_partitioning = false)"
    return f"read_csv({quoted}, {_CSV})"


def _select(
    columns: ExportColumns, export_format: ExportFormat, mapping: TagMapping, name: str
) -> str:
    chosen = dict(export_format.select_columns(columns, mapping))
    chosen["task_hash"] = f"lower(replace({chosen['task_hash']}, '/', ''))"
    chosen |= {"other": _other(columns), "source_file": quote_text(name)}
    listed = ",\n  ".join(f"{expression} AS {key}" for key, expression in chosen.items())
    return f"SELECT\n  {listed}"


def _other(columns: ExportColumns) -> str:
    """Return an expression for all remaining columns as a JSON object without nulls."""
    unused = columns.unused()
    if not unused:
        return "NULL"
    fields = ", ".join(f"{quote_name(name)} := {quote_name(name)}" for name in unused)
    patched = f"CAST(json_merge_patch('{{}}', to_json(struct_pack({fields}))) AS VARCHAR)"
    return f"nullif({patched}, '{{}}')"


def _conform(rows: pa.Table, period: str) -> pa.Table:
    """Return the rows in the types of the table, without line numbers."""
    filled = pc.fill_null(rows["billing_period"], period)
    rows = rows.set_column(rows.schema.get_field_index("billing_period"), "billing_period", filled)
    schema = BILL_LINES.arrow_schema
    arrays = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(arrays, names=schema.names)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:300]
        msg = f"{name} cannot be read: {reason}. Export the period again, or leave the file out."
        raise ConfigurationError(msg) from None
