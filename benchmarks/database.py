"""A PostgreSQL database with a long history and Debian's settings; its CPU time is included."""

from __future__ import annotations

import io
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psutil
from pyarrow import csv

from benchmarks.history import COPIED
from benchmarks.resource_usage import Usage
from benchmarks.stores import ASK, QUESTIONS, run_sync
from tower_etl.destinations.lake.mirror import connect as connect_copy
from tower_etl.destinations.postgres import connect, execute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import duckdb
    import pyarrow as pa

_BATCH_ROWS = 20_000
_PLAIN = csv.WriteOptions(include_header=False)
_INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'tower' AND tablename = %s"
)
_SIZE = "SELECT pg_database_size(current_database())"


@dataclass(frozen=True)
class PostgresStore:
    """A PostgreSQL server with a single database.

    Attributes:
        files: Folder of the server: its socket, and the data below it.
        home: Folder in which commands are run.
        environ: Environment variables of the commands, such as endpoint and token.
    """

    files: Path
    home: Path
    environ: Mapping[str, str]
    kind: str = "postgres"

    @property
    def address(self) -> str:
        """Address of the database for libpq."""
        return f"postgresql://tower@/postgres?host={self.files}"

    def take(self, file: Path) -> Usage | None:
        """Create the tables by a sync, and replace its rows with those of the file."""
        self.sync()
        with closing(connect(self.address)) as server, connect_copy(file) as rows:
            for table in COPIED:
                _fill(server, rows, table)
            execute(server, "VACUUM ANALYZE")
        return None

    def sync(self) -> Usage:
        """Return the usage of a sync; CPU time includes the server's, memory does not."""
        began_s = self._read_cpu()
        used = run_sync(self.kind, self.address, self.home, self.environ)
        return replace(used, cpu_s=used.cpu_s + self._read_cpu() - began_s)

    def iter_answers(self) -> Iterator[Usage]:
        """Yield the usage of each query with psycopg2; the memory of the server is not known."""
        for question in QUESTIONS:
            began_s, cpu_s = time.monotonic(), self._read_cpu()
            with closing(connect(self.address)) as server:
                execute(server, ASK.format(f"tower.{question}"))
            yield Usage(0, time.monotonic() - began_s, self._read_cpu() - cpu_s, float("nan"))

    def weigh(self) -> int:
        """Return the size of the database in bytes, including indexes."""
        with closing(connect(self.address)) as server:
            return int(execute(server, _SIZE)[0][0])

    def _read_cpu(self) -> float:
        """Return the CPU seconds of all processes of the server so far, including ended ones."""
        pid = int((self.files / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        server = psutil.Process(pid)
        ended = server.cpu_times()
        alive = [child.cpu_times() for child in server.children()]
        return sum(t.user + t.system for t in (ended, *alive)) + (
            ended.children_user + ended.children_system
        )


def _fill(server: Any, rows: duckdb.DuckDBPyConnection, table: str) -> None:  # noqa: ANN401 psycopg2 has no types
    """Replace the rows of a table with those of a file; indexes are created after the rows."""
    indexes = execute(server, _INDEXES, table)
    for name, _ in indexes:
        execute(server, f'DROP INDEX tower."{name}"')
    execute(server, f"TRUNCATE tower.{table}")
    for batch in rows.table(f"tower.{table}").to_arrow_reader(_BATCH_ROWS):
        _copy(server, table, batch)
    for _, definition in indexes:
        execute(server, definition)


def _copy(server: Any, table: str, batch: pa.RecordBatch) -> None:  # noqa: ANN401 likewise
    text = io.BytesIO()
    csv.write_csv(batch, text, _PLAIN)
    text.seek(0)
    columns = ", ".join(f'"{name}"' for name in batch.schema.names)
    with server.cursor() as cursor:
        cursor.copy_expert(f"COPY tower.{table} ({columns}) FROM STDIN CSV", text)
