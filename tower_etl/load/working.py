"""The working copy of a lake: a DuckDB file that dlt loads into, and that can be made anew."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from tower_etl.load.duckstorage import create_file, is_usable
from tower_etl.load.months import MONTH
from tower_etl.load.target import DATASET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tower_etl.load.lake import LakeFormat
    from tower_etl.load.manifest import Manifest
    from tower_etl.load.target import DuckDBPaths

# DuckDB would keep what it read, up to 80 % of the machine; and a group of rows of a Parquet file
# whole, if it had to keep them in order.
_SETTINGS = (
    "SET memory_limit = '400MB'",
    "SET preserve_insertion_order = false",
    "SET TimeZone = 'UTC'",
)


@dataclass(frozen=True)
class StagingDatabase:
    """The draft of a target that is never published as a file.

    Attributes:
        target: Its draft and dlt's folder are used.
    """

    target: DuckDBPaths

    def open(self, lake: LakeFormat) -> None:
        """Go on with the copy if it is of what the lake holds; else make it anew out of that."""
        manifest = lake.read_manifest()
        generation = manifest.snapshot if manifest else None
        is_known = self.target.staging.exists() and generation in self._read_note()
        if is_known and is_usable(self.target.staging):
            return
        self.delete()
        if manifest is not None:
            part = self.target.staging.with_name("restored.duckdb")
            part.unlink(missing_ok=True)
            rebuild_from_lake(part, lake, manifest)
            self.record_snapshots(generation)
            part.replace(self.target.staging)
        self.record_snapshots(generation)

    def delete(self) -> None:
        """Throw it away, with all that dlt knows of it."""
        for name in ("draft.duckdb", "draft.duckdb.wal"):
            (self.target.work_dir / name).unlink(missing_ok=True)
        for folder in (self.target.staging.with_name("draft.duckdb.tmp"), self.target.pipelines):
            shutil.rmtree(folder, ignore_errors=True)

    def record_snapshots(self, *generations: str | None) -> None:
        """Write down which states of the lake the copy is of, or ahead of."""
        part = self._note_path.with_suffix(".part")
        part.write_text(json.dumps(generations), encoding="utf-8")
        part.replace(self._note_path)

    def _read_note(self) -> Sequence[str | None]:
        with suppress(OSError, ValueError):
            found = json.loads(self._note_path.read_text(encoding="utf-8"))
            if isinstance(found, list):
                return found
        return ()

    @property
    def _note_path(self) -> Path:
        return self.target.work_dir / "copy.json"


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a copy, in UTC, to go through the whole of it without keeping it in memory."""
    connection = duckdb.connect(str(path))
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def rebuild_from_lake(path: Path, lake: LakeFormat, manifest: Manifest) -> None:
    """Make a DuckDB file out of what a lake holds, dlt's own tables included."""
    tables = lake.open_tables(manifest)
    create_file(path)
    with connect(path) as connection:
        connection.execute(f"CREATE SCHEMA {DATASET}")
        for name, contents in manifest.tables.items():
            connection.execute(contents.ddl)
            connection.register("arrived", tables[name])
            # An older version may have written the table without months.
            has_months = MONTH in tables[name].schema.names
            columns = f"* EXCLUDE ({MONTH})" if has_months else "*"
            insert = f'INSERT INTO {DATASET}."{name}" BY NAME SELECT {columns} FROM arrived'  # noqa: S608 ours
            connection.execute(insert)
            connection.unregister("arrived")
