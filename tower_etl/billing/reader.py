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
from tower_etl.billing.columns import ExportColumns, as_json, entries_of, value_of
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
        tags: Normalized name of the tags column, or the prefix of the columns for single tags.
        select_columns: Returns an expression for each column of `bill_lines` that is read from an
            export line, apart from its tags.
    """

    title: str
    required: tuple[str, ...]
    tags: str
    select_columns: Callable[[ExportColumns], Mapping[str, str]]


FORMATS: Mapping[str, ExportFormat] = MappingProxyType(
    {
        "aws": ExportFormat(aws.TITLE, aws.REQUIRED, aws.TAGS, aws.select_columns),
        "focus": ExportFormat(focus.TITLE, focus.REQUIRED, focus.TAGS, focus.select_columns),
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
    with _open_export(path, name, provider):
        pass


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
    with _open_export(path, name, provider) as (export, columns):
        selected = export.select(_select(columns, FORMATS[provider], mapping, name))
        for batch in selected.to_arrow_reader(_BATCH_ROWS):
            rows = pa.Table.from_batches([batch])
            period = period or pc.min(rows["billing_period"]).as_py()
            yield _conform(rows, period or _UNKNOWN_PERIOD)


@contextmanager
def _open_export(
    path: Path, name: str, provider: str
) -> Iterator[tuple[duckdb.DuckDBPyRelation, ExportColumns]]:
    """Yield the lines of a file, and its columns; errors of DuckDB name the file."""
    with duckdb.connect() as connection, _explained(name):
        for setting in _SETTINGS:
            connection.execute(setting)
        export = connection.sql(f"FROM {_source_of(path)}")
        columns = ExportColumns(dict(zip(export.columns, map(str, export.types), strict=True)))
        _check_columns(columns, FORMATS[provider], name)
        yield export, columns


def _check_columns(columns: ExportColumns, export_format: ExportFormat, name: str) -> None:
    if missing := columns.missing(export_format.required):
        column_names = ", ".join(list(columns.types)[:5])
        msg = (
            f"{name} is not {export_format.title}: missing column {', '.join(missing)} "
            f"(found: {column_names}, ...). Check --provider and the file."
        )
        raise ConfigurationError(msg)


def _source_of(path: Path) -> str:
    quoted = quote_text(str(path))
    if path.name.endswith(".parquet"):
        return f"read_parquet({quoted}, hive_partitioning = false)"
    return f"read_csv({quoted}, {_CSV})"


def _select(
    columns: ExportColumns, export_format: ExportFormat, mapping: TagMapping, name: str
) -> str:
    entries = entries_of(columns, export_format.tags)
    task_hash = value_of(entries, mapping.task_hash)
    expressions = {
        **export_format.select_columns(columns),
        "run_id": value_of(entries, mapping.run_id),
        "task_hash": f"lower(replace({task_hash}, '/', ''))",
        "compute_env": value_of(entries, mapping.compute_env),
        "tags": as_json(entries),
        "source_file": quote_text(name),
    }
    expressions["other"] = _other(columns)  # last, because it has the columns that are not used yet
    return ", ".join(f"{expression} AS {key}" for key, expression in expressions.items())


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
