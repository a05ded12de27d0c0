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

from tower_etl.load.comments import apply_comments
from tower_etl.load.modeldocs import read_docs
from tower_etl.load.seeds import read_seed
from tower_etl.load.target import DATASET
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tower_etl.load.modeldocs import ModelDocs
    from tower_etl.tables import Table

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
        return self.docs.description

    @property
    def comment(self) -> str:
        """The description, details and grain of the view, on one line."""
        return self.docs.comment

    @property
    def sources(self) -> frozenset[str]:
        """Tables, views and parts of the statement itself that it reads."""
        return frozenset(_SOURCE.findall(self.sql))

    @cached_property
    def docs(self) -> ModelDocs:
        """The YAML file beside the view; empty where there is none."""
        return read_docs(sql_root() / self.kind / f"{self.name}.yml")


def sql_root() -> Path:
    """`sql/` of a checkout, or its copy inside an installed package."""
    installed = _PACKAGE / "_sql"
    return installed if installed.is_dir() else _PACKAGE.parent / "sql"


def iter_views(*kinds: str) -> Iterator[View]:
    """Return the views of some folders (seeds, staging and marts), each after those that it reads.

    Raises:
        UsageError: A seed file of the user is invalid.
    """
    views = {view.name: view for kind in kinds or _FOLDERS for view in _iter_folder(kind)}
    read = {name: sorted(view.sources & views.keys() - {name}) for name, view in views.items()}
    return (views[name] for name in TopologicalSorter(read).static_order())


def _iter_folder(kind: str) -> Iterator[View]:
    for path in sorted((sql_root() / kind).glob("*.sql")):
        yield View(path.stem, kind, path.read_text(encoding="utf-8"))
    for path in sorted((sql_root() / kind).glob("*.csv")):
        types = read_docs(path.with_suffix(".yml")).types
        yield View(path.stem, kind, read_seed(path, types))


def apply_views(path: Path, specs: Mapping[str, Table] = TABLES, known: str = "") -> str:
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
        connection.execute(f"ATTACH '{_quote(str(path))}' AS target")
        connection.execute(f"USE target.{DATASET}")
        connection.begin()
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
    """Create or replace views where a connection is, with comments on them and their columns.

    Args:
        connection: It looks up unqualified names in the schema of the tables.
        views: Each after those that it reads.
        temporary: Whether they are for this connection alone, and nothing is written.
    """
    made = []
    kind = "TEMPORARY VIEW" if temporary else "VIEW"
    for view in views:
        connection.execute(f'CREATE OR REPLACE {kind} "{view.name}" AS\n{view.sql}')
        made.append(view)
    for view in () if temporary else made:
        connection.execute(";".join(_iter_comments(view)))


def _iter_comments(view: View) -> Iterator[str]:
    yield f"COMMENT ON VIEW \"{view.name}\" IS '{_quote(view.comment)}'"
    for name, text in view.docs.column_comments.items():
        yield f'COMMENT ON COLUMN "{view.name}"."{name}" IS \'{_quote(text)}\''


def _digest(connection: duckdb.DuckDBPyConnection, views: Iterable[View]) -> str:
    """Of the views, the tables that they read, and the DuckDB that makes them."""
    tables = connection.execute(
        "SELECT table_name, sql FROM duckdb_tables() WHERE database_name = 'target' ORDER BY ALL"
    ).fetchall()
    made = repr([duckdb.__version__, tables, [(view.name, view.sql, view.docs) for view in views]])
    return hashlib.sha256(made.encode()).hexdigest()


def _quote(text: str) -> str:
    return text.replace("'", "''")
