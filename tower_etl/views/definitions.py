"""SQL views of the folder `sql/`, created in one transaction, and comments on columns.

Tables that no sync fills are created empty if they are missing, so that views can read them.
"""

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
from tower_etl.schema.types import BOOLEAN, INTEGER, NUMBER, TEXT, TIMESTAMP
from tower_etl.text import quote_text
from tower_etl.views.model_docs import describe_column, read_docs
from tower_etl.views.prices import find_price_list, select_prices
from tower_etl.views.seeds import read_seed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from tower_etl.schema import ColumnSpec, TableSpec
    from tower_etl.views.model_docs import ModelDocs

# The types that dlt would choose, because dlt later loads into these tables.
_TYPES: Mapping[str, Mapping[pa.DataType, str]] = {
    "duckdb": {TEXT: "VARCHAR", NUMBER: "DOUBLE", TIMESTAMP: "TIMESTAMP WITH TIME ZONE"},
    "postgres": {
        TEXT: "varchar",
        NUMBER: "double precision",
        TIMESTAMP: "timestamp with time zone",
    },
    "spark": {TEXT: "STRING", NUMBER: "DOUBLE", TIMESTAMP: "TIMESTAMP"},
}
_COMMON: Mapping[pa.DataType, str] = {INTEGER: "BIGINT", BOOLEAN: "BOOLEAN"}
_JSON = {"duckdb": "JSON", "postgres": "jsonb", "spark": "STRING"}

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = ("seeds", "staging", "marts")
_SUFFIXES = frozenset({".sql", ".csv"})
PRICE_LIST = "price_list"
_SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
Comments = dict[tuple[str, str], str]  # by table and column; "" for the table itself
_FIND_COMMENTS = f"""
SELECT table_name, '', comment FROM duckdb_tables()
WHERE database_name = 'target' AND schema_name = '{DATASET}'
UNION ALL
SELECT table_name, column_name, comment FROM duckdb_columns()
WHERE database_name = 'target' AND schema_name = '{DATASET}'
"""  # noqa: S608 constants only


def iter_definitions(dialect: str) -> Iterator[str]:
    """Yield the statements that create missing tables."""
    if dialect not in _TYPES:
        return
    for table in LOCAL_TABLES.values():
        yield f"CREATE TABLE IF NOT EXISTS {table.name} ({_list_columns(table, dialect)})"


def create_local_tables(connection: duckdb.DuckDBPyConnection, *, temporary: bool = False) -> None:
    """Create the tables that are missing in the schema of a connection.

    Args:
        connection: Connection whose current schema contains the tables.
        temporary: Whether to create temporary tables, which only this connection sees. Existing
            tables are skipped, because a temporary table would hide them.
    """
    kind = "TEMPORARY TABLE" if temporary else "TABLE"
    for table in LOCAL_TABLES.values():
        if not _exists(connection, table.name):
            columns = _list_columns(table, "duckdb")
            connection.execute(f'CREATE {kind} "{table.name}" ({columns})')


def _exists(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    counts = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE table_name = $1 AND "
        "(table_schema = current_schema() OR table_type = 'LOCAL TEMPORARY')",
        [name],
    ).fetchall()
    return counts != [(0,)]


def _list_columns(table: TableSpec, dialect: str) -> str:
    return ", ".join(f"{column.name} {_type_of(column, dialect)}" for column in table.columns)


def _type_of(column: ColumnSpec, dialect: str) -> str:
    if column.is_json:
        return _JSON[dialect]
    return _TYPES[dialect].get(column.type) or _COMMON[column.type]


@dataclass(frozen=True)
class View:
    """View defined by a file of `sql/`.

    Attributes:
        name: Name of the view, and stem of the file.
        kind: Folder of the file: seeds, staging, marts or checks.
        sql: SELECT, below a header of comments unless it is a seed.
    """

    name: str
    kind: str
    sql: str

    @property
    def description(self) -> str:
        """Question that the view answers, in one sentence."""
        return self.docs.description

    @property
    def comment(self) -> str:
        """Description, grain and details of the view, on one line."""
        return self.docs.comment

    @property
    def sources(self) -> frozenset[str]:
        """Names after FROM and JOIN: tables, views and CTEs."""
        return frozenset(_SOURCE.findall(self.sql))

    @cached_property
    def docs(self) -> ModelDocs:
        """Contents of the YAML file beside the view; empty if there is none."""
        return read_docs(sql_root() / self.kind / f"{self.name}.yml")


def sql_root() -> Path:
    """Return the folder `sql/` of a checkout, or its copy in an installed package."""
    installed = _PACKAGE / "_sql"
    return installed if installed.is_dir() else _PACKAGE.parent / "sql"


def iter_views(*kinds: str) -> Iterator[View]:
    """Iterate over the views of some folders in order of dependency.

    Args:
        *kinds: Folders; by default seeds, staging and marts.

    Raises:
        ConfigurationError: A seed file or the price list of the user is invalid.
    """
    return sort_views(view for kind in kinds or _FOLDERS for view in _iter_folder(kind))


def list_view_names() -> frozenset[str]:
    """Return the names of the views of `iter_views`, without reading their files."""
    files = (path for kind in _FOLDERS for path in (sql_root() / kind).iterdir())
    return frozenset({PRICE_LIST, *(path.stem for path in files if path.suffix in _SUFFIXES)})


def sort_views(views: Iterable[View]) -> Iterator[View]:
    """Iterate over views in order of dependency."""
    named = {view.name: view for view in views}
    read = {name: sorted(view.sources & named.keys() - {name}) for name, view in named.items()}
    return (named[name] for name in TopologicalSorter(read).static_order())


def select_views(views: Iterable[View], names: Iterable[str]) -> list[View]:
    """Return the views with some names, and all views that they read, in order of dependency."""
    sorted_views = list(sort_views(views))
    wanted = set(names)
    for view in reversed(sorted_views):
        if view.name in wanted:
            wanted |= view.sources
    return [view for view in sorted_views if view.name in wanted]


def price_list_view(path: Path | None) -> View:
    """Return the view of a price list; it is empty without one.

    Raises:
        ConfigurationError: The price list is invalid.
    """
    return View(PRICE_LIST, "seeds", select_prices(path))


def _iter_folder(kind: str) -> Iterator[View]:
    if kind == "seeds":
        yield price_list_view(find_price_list())
    for path in sorted((sql_root() / kind).glob("*.sql")):
        yield View(path.stem, kind, path.read_text(encoding="utf-8"))
    for path in sorted((sql_root() / kind).glob("*.csv")):
        columns = read_docs(path.with_suffix(".yml")).columns
        types = {name: docs.type_name for name, docs in columns.items()}
        yield View(path.stem, kind, read_seed(path, types))


def apply_views(path: Path, specs: Mapping[str, TableSpec] = TABLES, known_digest: str = "") -> str:
    """Create or replace all views and comments, and close the file after a checkpoint.

    Views use unqualified table names, which work for any file name: in a file `tower.duckdb`,
    `tower.tasks` could refer to a catalog or a schema.

    Args:
        path: DuckDB file.
        specs: Tables by name, with promoted columns.
        known_digest: Digest of the file; if the new one is equal, views and comments are kept.

    Returns:
        Digest of the views, their tables and all comments.
    """
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {quote_text(str(path))} AS target")
        connection.execute(f"USE target.{DATASET}")
        connection.begin()
        create_local_tables(connection)
        views = list(iter_views())
        digest = _digest(connection, views, specs)
        if digest != known_digest:
            create_views(connection, views)
            _apply_comments(connection, specs)
        connection.commit()
        connection.execute("CHECKPOINT target")
        connection.execute("USE memory")
        connection.execute("DETACH target")
    return digest


def create_views(
    connection: duckdb.DuckDBPyConnection, views: Iterable[View], *, temporary: bool = False
) -> None:
    """Create or replace views in the current schema, with comments on them and their columns.

    DuckDB binds the text of a view together with all views below it, again for each view above
    them. Here each view is bound on its own: to empty temporary tables, which hide the views below
    it until they are created, from the top down.

    Args:
        connection: Connection whose current schema contains the tables.
        views: Views in order of dependency.
        temporary: Whether to create temporary views, which leave the file unchanged.
    """
    kind, created = "TEMPORARY VIEW" if temporary else "VIEW", list(views)
    for view in created:
        connection.execute(f'DROP VIEW IF EXISTS temp."{view.name}"')
        columns = f"SELECT * FROM (\n{view.sql}\n) LIMIT 0"  # noqa: S608 SQL of the package
        connection.execute(f'CREATE TEMPORARY TABLE "{view.name}" AS {columns}')
    for view in reversed(created):
        connection.execute(f'DROP TABLE temp."{view.name}"')
        connection.execute(f'CREATE OR REPLACE {kind} "{view.name}" AS\n{view.sql}')
    for view in () if temporary else created:
        connection.execute(";".join(iter_view_comments(view)))


def iter_view_comments(view: View) -> Iterator[str]:
    """Yield the comments on a view and its columns, as statements of DuckDB and PostgreSQL."""
    yield f"COMMENT ON VIEW {view.name} IS {quote_text(view.comment)}"
    for name, text in view.docs.column_comments.items():
        yield f'COMMENT ON COLUMN {view.name}."{name}" IS {quote_text(text)}'


def _digest(
    connection: duckdb.DuckDBPyConnection, views: Iterable[View], specs: Mapping[str, TableSpec]
) -> str:
    """Return a digest of the views, all tables, their comments, and the version of DuckDB."""
    tables = connection.execute(
        "SELECT table_name, sql FROM duckdb_tables() WHERE database_name = 'target' ORDER BY ALL"
    ).fetchall()
    texts = [(view.name, view.sql, view.docs) for view in views]
    made = repr([duckdb.__version__, tables, texts, list_comments(specs)])
    return hashlib.sha256(made.encode()).hexdigest()


def _apply_comments(connection: duckdb.DuckDBPyConnection, specs: Mapping[str, TableSpec]) -> None:
    """Set missing and changed comments on tables and columns."""
    comments = connection.execute(_FIND_COMMENTS).fetchall()
    existing = {(table, column): comment for table, column, comment in comments}
    for statement in iter_comment_statements(list_comments(specs), existing):
        connection.execute(statement)


def list_comments(specs: Mapping[str, TableSpec] = TABLES) -> Comments:
    """Return the comments of all tables and columns, including units."""
    comments: Comments = {}
    for table in (*specs.values(), *LOCAL_TABLES.values()):
        comments[table.name, ""] = f"{table.description} {table.grain}"
        comments |= {(table.name, c.name): describe_column(c) for c in table.columns}
    return comments


def iter_comment_statements(
    wanted: Mapping[tuple[str, str], str], existing: Mapping[tuple[str, str], str | None]
) -> Iterator[str]:
    """Yield COMMENT statements for existing objects whose comment differs; valid in PostgreSQL."""
    for (table, column), text in wanted.items():
        if existing.get((table, column), text) != text:
            subject = f'COLUMN "{table}"."{column}"' if column else f'TABLE "{table}"'
            yield f"COMMENT ON {subject} IS {quote_text(text)}"
