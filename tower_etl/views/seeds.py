"""Seeds in `sql/seeds/`: small CSV files that views join, as views whose SQL contains the rows.

A view needs no write access and no loading, so that seeds are available wherever the views are: in
DuckDB files, lakes, PostgreSQL and Spark. Users replace a seed by a file with the same name in the
folder that `TOWER_ETL_SEEDS` names.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.config.resolver import SettingSources
from tower_etl.errors import ConfigurationError
from tower_etl.text import quote_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# One text, split by the database: binding a literal for each of 1,541 rows took 50 ms per query.
_ROW_END, _CELL_END = ";", "|"
_UNSAFE = re.compile(r"[;|\\\x00-\x1f]")
_NUMBERS = {"BIGINT": re.compile(r"\d{1,9}"), "DOUBLE": re.compile(r"\d{1,9}(\.\d+)?")}


def read_seed(bundled: Path, types: Mapping[str, str]) -> str:
    """Return a seed as a SELECT of its rows.

    Args:
        bundled: CSV file of this package.
        types: SQL type of each column: TEXT, BIGINT or DOUBLE. An empty cell is null.

    Raises:
        ConfigurationError: The user's file cannot be read, lacks a column, or has an invalid value.
    """
    path = find_seed(bundled)
    rows = _ROW_END.join(_CELL_END.join(row) for row in _iter_rows(path, types))
    columns = ",\n".join(_select_cell(index, *item) for index, item in enumerate(types.items(), 1))
    return (
        f"SELECT\n{columns}\nFROM (\n"
        f"  SELECT unnest(string_split({quote_text(rows)}, '{_ROW_END}')) AS line\n) AS lines\n"
        "WHERE line <> ''\n"
    )


def find_seed(bundled: Path) -> Path:
    """Return the user's file with the name of a bundled seed, else the bundled file."""
    folder = SettingSources().get("seeds")
    if not folder:
        return bundled
    if not (seed_folder := Path(folder).expanduser()).is_dir():
        msg = f"TOWER_ETL_SEEDS: {seed_folder} is not a folder. Create it, or unset the variable."
        raise ConfigurationError(msg)
    return seed_folder / bundled.name if (seed_folder / bundled.name).is_file() else bundled


def _iter_rows(path: Path, types: Mapping[str, str]) -> Iterator[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_header(path, reader.fieldnames or (), types)
            for row in reader:
                yield [
                    _check_cell(path, reader.line_num, name, (row[name] or "").strip(), type_name)
                    for name, type_name in types.items()
                ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read as a CSV file in UTF-8 ({error})."
        raise ConfigurationError(msg) from None


def _check_header(path: Path, header: Iterable[str], types: Mapping[str, str]) -> None:
    if missing := ", ".join(sorted(types.keys() - set(header))):
        msg = f"{path} lacks the column {missing}. Expected a header with {', '.join(types)}."
        raise ConfigurationError(msg)


def _check_cell(path: Path, line: int, name: str, cell: str, type_name: str) -> str:
    number = _NUMBERS.get(type_name)
    if _UNSAFE.search(cell) or (cell and number and not number.fullmatch(cell)):
        expected = "a number" if number else "text without ; | \\ or control characters"
        msg = f"{path}, line {line}: invalid {name} {cell!r}. Expected {expected}."
        raise ConfigurationError(msg)
    return cell


def _select_cell(index: int, name: str, type_name: str) -> str:
    cell = f"nullif(split_part(line, '{_CELL_END}', {index}), '')"
    return f"  CAST({cell} AS {type_name}) AS {name}"
