"""A DuckDB file into which tests load bills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from tower_etl.billing.columns import TagMapping
from tower_etl.billing.load import BillLoad
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.config import DestinationConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.billing.load import BillReport

USUAL = TagMapping()


def ignore(_name: str) -> None:
    """Discard the name of a file that is being loaded."""


@dataclass(frozen=True)
class BillTarget:
    """A DuckDB file with runs.

    Attributes:
        path: Path of the file.
    """

    path: Path

    def load(self, *files: Path, provider: str = "aws", mapping: TagMapping = USUAL) -> BillReport:
        """Load an export and return the report."""
        place = DestinationConfig("duckdb", str(self.path), self.path.parent / "state")
        names = tuple(map(str, files))
        destination = open_destination(place)
        return BillLoad(destination, names, provider, SYSTEM_CLOCK, mapping, ignore).run()

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows of the published file, with unqualified names of tables and views."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("USE runs.tower")
            return connection.execute(sql).fetchall()
