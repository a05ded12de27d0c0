"""Export of the marts as CSV files with a JSON index, for other programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tower_etl.quoting import quote_text
from tower_etl.views.definitions import iter_views
from tower_etl.warehouse.filters import apply_filter
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tower_etl.views.definitions import View
    from tower_etl.warehouse.filters import RunFilter
    from tower_etl.warehouse.reader import Connection

INDEX = "index.json"


def write_data(path: str | Path, folder: Path, now: datetime, scope: RunFilter) -> int:
    """Write every mart into a folder, and return the number of files.

    Args:
        path: DuckDB file or lake folder of the tables.
        folder: Folder, which is created if it does not exist; files of other names are kept.
        now: Time of the report (UTC).
        scope: Filter of the runs, as for the report.

    Raises:
        ConfigurationError: No sync has written to the path, or the filter matches no run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open_reader(path) as connection:
        apply_filter(connection, scope)
        marts = [_write_mart(connection, view, folder) for view in iter_views("marts")]
    index = {
        "made_at": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "filter": scope.condition if scope else None,
        "files": sorted(marts, key=lambda mart: str(mart["file"])),
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return len(marts)


def _write_mart(connection: Connection, view: View, folder: Path) -> dict[str, Any]:
    file = folder / f"{view.name}.csv"
    copy = f'COPY (FROM "{view.name}") TO {quote_text(str(file))} (FORMAT csv, HEADER)'
    connection.execute(copy)
    return {
        "file": file.name,
        "description": view.comment,
        "columns": view.docs.column_comments,
    }
