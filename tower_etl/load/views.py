"""The SQL views that answer questions, applied in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tower_etl.load.target import DATASET

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = ("staging", "marts")  # marts read staging views


@dataclass(frozen=True)
class View:
    """One file of `sql/`.

    Attributes:
        name: The file's stem, and the view's name.
        kind: Its folder: staging, marts or checks.
        sql: One SELECT.
        description: The first line of its header.
    """

    name: str
    kind: str
    sql: str
    description: str


def sql_root() -> Path:
    """`sql/` of a checkout, or its copy inside an installed package."""
    installed = _PACKAGE / "_sql"
    return installed if installed.is_dir() else _PACKAGE.parent / "sql"


def iter_views(*kinds: str) -> Iterator[View]:
    """The views of some folders, in the order in which they can be created."""
    for kind in kinds or _FOLDERS:
        for path in sorted((sql_root() / kind).glob("*.sql")):
            sql = path.read_text(encoding="utf-8")
            yield View(path.stem, kind, sql, sql.partition("\n")[0].removeprefix("--").strip())


def apply_views(path: Path) -> None:
    """Create or replace all views, and leave the file closed, whole and without a log.

    The views name tables without a schema, so that they find them beside themselves whatever the
    file is called: in a file `tower.duckdb`, `tower.tasks` could be of a catalog or of a schema.
    """
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{_quote(path)}' AS target")
        connection.execute(f"USE target.{DATASET}")
        connection.begin()
        for view in iter_views():
            connection.execute(f'CREATE OR REPLACE VIEW "{view.name}" AS\n{view.sql}')
        connection.commit()
        connection.execute("CHECKPOINT target")
        connection.execute("USE memory")
        connection.execute("DETACH target")


def _quote(path: Path) -> str:
    return str(path).replace("'", "''")
