"""The SQL views that answer questions, applied in one transaction."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tower_etl.config.settings import DATASET
from tower_etl.schema import LOCAL_TABLES, TABLES
from tower_etl.views.local_tables import create_local_tables
from tower_etl.views.model_docs import read_docs
from tower_etl.views.prices import find_price_list, select_prices
from tower_etl.views.seeds import read_seed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tower_etl.schema import ColumnSpec, TableSpec
    from tower_etl.views.model_docs import ModelDocs

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = ("seeds", "staging", "marts")
_SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")


@dataclass(frozen=True)
class View:
    """One file of `sql/`.

    Attributes:
        name: The file's stem, and the view's name.
        kind: Its folder: seeds, staging, marts or checks.
        sql: One SELECT below a header.
    """

    name: str
    kind: str
    sql: str

    @property
    def description(self) -> str:
        """What the view answers, in one sentence."""
        return self.docs.description or (self._header[0] if self._header else "")

    @property
    def comment(self) -> str:
        """The description, details and grain of the view, on one line."""
        return self.docs.comment or " ".join(self._header)

    @cached_property
    def docs(self) -> ModelDocs:
        """The YAML file beside the view; empty where there is none."""
        return read_docs(sql_root() / self.kind / f"{self.name}.yml")

    @property
    def sources(self) -> frozenset[str]:
        """Tables, views and parts of the statement itself that it reads."""
        return frozenset(_SOURCE.findall(self.sql))

    @cached_property
    def _header(self) -> list[str]:
        lines = self.sql.splitlines()
        body = next((n for n, line in enumerate(lines) if not line.startswith("--")), len(lines))
        return [line.removeprefix("--").strip() for line in lines[:body]]


def sql_root() -> Path:
    """`sql/` of a checkout, or its copy inside an installed package."""
    installed = _PACKAGE / "_sql"
    return installed if installed.is_dir() else _PACKAGE.parent / "sql"


def iter_views(*kinds: str) -> Iterator[View]:
    """Return the views of some folders (seeds, staging and marts), each after those that it reads.

    Raises:
        ConfigurationError: A seed file of the user is invalid.
    """
    views = {view.name: view for kind in kinds or _FOLDERS for view in _iter_folder(kind)}
    read = {name: sorted(view.sources & views.keys() - {name}) for name, view in views.items()}
    return (views[name] for name in TopologicalSorter(read).static_order())


def price_list_view(path: Path | None) -> View:
    """Return the view of a price list.

    Raises:
        ConfigurationError: The list is invalid.
    """
    return View("price_list", "seeds", select_prices(path))


def _iter_folder(kind: str) -> Iterator[View]:
    if kind == "seeds":
        yield price_list_view(find_price_list())
    for path in sorted((sql_root() / kind).glob("*.sql")):
        yield View(path.stem, kind, path.read_text(encoding="utf-8"))
    for path in sorted((sql_root() / kind).glob("*.csv")):
        types = read_docs(path.with_suffix(".yml")).types
        yield View(path.stem, kind, read_seed(path, types))


def apply_views(path: Path, specs: Mapping[str, TableSpec] = TABLES, known: str = "") -> str:
    """Create or replace all views and comments; leave the file closed, whole and without a log.

    The views name tables without a schema, so that they find them beside themselves whatever the
    file is called: in a file `tower.duckdb`, `tower.tasks` could be of a catalog or of a schema.

    Args:
        path: The file.
        specs: The tables, promoted columns included.
        known: What this gave for the views that are in the file; they are left alone if they, and
            the tables below them, would be the same.

    Returns:
        What tells these views over these tables from others.
    """
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {_quote(str(path))} AS target")
        connection.execute(f"USE target.{DATASET}")
        connection.begin()
        create_local_tables(connection)
        views = list(iter_views())
        digest = _digest(connection, views)
        if digest != known:
            create_views(connection, views)
        apply_comments(connection, "target", specs)
        connection.commit()
        connection.execute("CHECKPOINT target")
        connection.execute("USE memory")
        connection.execute("DETACH target")
    return digest


def create_views(
    connection: duckdb.DuckDBPyConnection, views: Iterable[View], *, temporary: bool = False
) -> None:
    """Create or replace views where a connection is, with their headers as comments.

    Args:
        connection: It looks up unqualified names in the schema of the tables.
        views: Each after those that it reads.
        temporary: Whether they are for this connection alone, and nothing is written.
    """
    for view in views:
        kind = "TEMPORARY VIEW" if temporary else "VIEW"
        connection.execute(f'CREATE OR REPLACE {kind} "{view.name}" AS\n{view.sql}')
        if not temporary:
            connection.execute(f'COMMENT ON VIEW "{view.name}" IS {_quote(view.comment)}')


def _digest(connection: duckdb.DuckDBPyConnection, views: Iterable[View]) -> str:
    """Of the views, the tables that they read, and the DuckDB that makes them."""
    tables = connection.execute(
        "SELECT table_name, sql FROM duckdb_tables() WHERE database_name = 'target' ORDER BY ALL"
    ).fetchall()
    made = repr([duckdb.__version__, tables, [(view.name, view.sql) for view in views]])
    return hashlib.sha256(made.encode()).hexdigest()


Comments = dict[tuple[str, str], str]  # by table and column; the column of a table itself is empty

_FIND = """
SELECT table_name, '', comment FROM duckdb_tables() WHERE database_name = $1 AND schema_name = $2
UNION ALL
SELECT table_name, column_name, comment FROM duckdb_columns()
WHERE database_name = $1 AND schema_name = $2
"""


def apply_comments(
    connection: duckdb.DuckDBPyConnection, catalog: str, specs: Mapping[str, TableSpec] = TABLES
) -> None:
    """Say what tables and columns mean; what is said already costs one query.

    Args:
        connection: In the schema of the tables.
        catalog: What the connection calls the file.
        specs: The tables, promoted columns included.
    """
    said = {
        (table, column): comment
        for table, column, comment in connection.execute(_FIND, [catalog, DATASET]).fetchall()
    }
    for statement in iter_statements(list_comments(specs), said):
        connection.execute(statement)


def list_comments(specs: Mapping[str, TableSpec] = TABLES) -> Comments:
    """The meaning of every table and column, units included."""
    comments: Comments = {}
    for table in (*specs.values(), *LOCAL_TABLES.values()):
        comments[table.name, ""] = f"{table.description} {table.grain}"
        comments |= {(table.name, c.name): describe_column(c) for c in table.columns}
    return comments


def describe_column(column: ColumnSpec) -> str:
    """The meaning of a column, and its unit."""
    return f"{column.description} Unit: {column.unit}." if column.unit else column.description


def iter_statements(
    wanted: Mapping[tuple[str, str], str], said: Mapping[tuple[str, str], str | None]
) -> Iterator[str]:
    """The statements for what is there and not said yet, in SQL that PostgreSQL takes, too."""
    for (table, column), text in wanted.items():
        if said.get((table, column), text) != text:
            place = f'COLUMN "{table}"."{column}"' if column else f'TABLE "{table}"'
            yield f"COMMENT ON {place} IS {_quote(text)}"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
