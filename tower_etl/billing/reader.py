"""One file of an export as Arrow batches of `bill_lines`, read piece by piece by DuckDB."""

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
from tower_etl.quoting import quote_name, quote_text
from tower_etl.schema import BILL_LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tower_etl.billing.tags import TagMapping

_BATCH_ROWS = 10_000
_UNKNOWN_PERIOD = "1970-01"
# DuckDB would take up to 80 % of the machine. One thread gives the lines in their order, and small
# buffers keep it within the limit: with the default of 32 MB it fails on lines of 1 kB.
_SETTINGS = ("SET memory_limit = '300MB'", "SET threads = 1", "SET TimeZone = 'UTC'")
_CSV = (
    "header = true, delim = ',', quote = '\"', escape = '\"', all_varchar = true, "
    "buffer_size = 4194304, max_line_size = 1048576"
)


@dataclass(frozen=True)
class ExportFormat:
    """A format of exports.

    Attributes:
        title: What messages call a file of it.
        required: Normalized names of the columns that every file has.
        select_columns: Gives an expression for each column of `bill_lines` that comes from a line.
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


def iter_lines(
    path: Path, name: str, provider: str, mapping: TagMapping, period: str | None = None
) -> Iterator[pa.Table]:
    """Read a file.

    Args:
        path: The file on this machine.
        name: What messages and `source_file` call it.
        provider: A key of `FORMATS`.
        mapping: Which tag holds what.
        period: Billing period that the path of the export names, for lines that name none.

    Yields:
        Rows in the columns of `bill_lines`, without numbers.

    Raises:
        ConfigurationError: It is not an export of that format, or a value in it cannot be read.
    """
    with duckdb.connect() as connection, _explained(name):
        for setting in _SETTINGS:
            connection.execute(setting)
        source = _source_of(path)
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 quoted
        columns = ExportColumns({row[0]: row[1] for row in described})
        sql = _select(columns, FORMATS[provider], mapping, name)
        reader = connection.sql(f"{sql} FROM {source}").to_arrow_reader(_BATCH_ROWS)
        known = period
        for batch in reader:
            rows = pa.Table.from_batches([batch])
            known = known or pc.min(rows["billing_period"]).as_py()
            yield _finish(rows, known or _UNKNOWN_PERIOD)


def _source_of(path: Path) -> str:
    quoted = quote_text(str(path))
    if path.name.endswith(".parquet"):
        return f"read_parquet({quoted}, hive_partitioning = false)"
    return f"read_csv({quoted}, {_CSV})"


def _select(columns: ExportColumns, form: ExportFormat, mapping: TagMapping, name: str) -> str:
    if missing := columns.missing(form.required):
        found = ", ".join(list(columns.types)[:5])
        msg = (
            f"{name} is not {form.title}: missing column {', '.join(missing)} (found: {found}, "
            "...). Check --provider and the file."
        )
        raise ConfigurationError(msg)
    chosen = dict(form.select_columns(columns, mapping))
    chosen["task_hash"] = f"lower(replace({chosen['task_hash']}, '/', ''))"
    chosen |= {"other": _other(columns), "source_file": quote_text(name)}
    listed = ",\n  ".join(f"{expression} AS {key}" for key, expression in chosen.items())
    return f"SELECT\n  {listed}"


def _other(columns: ExportColumns) -> str:
    """Return the columns that no other holds, as a JSON object without nulls."""
    unused = columns.unused()
    if not unused:
        return "NULL"
    fields = ", ".join(f"{quote_name(name)} := {quote_name(name)}" for name in unused)
    patched = f"CAST(json_merge_patch('{{}}', to_json(struct_pack({fields}))) AS VARCHAR)"
    return f"nullif({patched}, '{{}}')"


def _finish(rows: pa.Table, period: str) -> pa.Table:
    """Return the rows in the types of the table; the numbers of the lines are added later."""
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
