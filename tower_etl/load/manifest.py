"""What a lake holds, as its last sync left it: the note that the next sync starts from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1


@dataclass(frozen=True)
class PartitionEntry:
    """One month of a table.

    Attributes:
        fingerprint: Changes when a row does.
        file: Its file, where the lake keeps one; relative to the table.
    """

    fingerprint: str
    file: str = ""


@dataclass(frozen=True)
class TableEntry:
    """One table.

    Attributes:
        ddl: The statement that makes it in DuckDB.
        parts: By month.
        state: Which version of the table in the lake holds them, where the lake has versions.
    """

    ddl: str
    partitions: Mapping[str, PartitionEntry]
    state: str = ""


@dataclass(frozen=True)
class Manifest:
    """All tables.

    Attributes:
        kind: Of the lake.
        generation: Names this state of it.
        tables: By name, in the order in which they are written.
        tag: Names the version of the object that it was read from, where it was one.
    """

    kind: str
    snapshot: str
    tables: Mapping[str, TableEntry] = field(default_factory=dict)
    tag: str | None = field(default=None, compare=False)

    def dump(self) -> str:
        """As JSON, without the tag, which the store gives."""
        stored = asdict(self)
        del stored["tag"]
        return json.dumps({"version": VERSION, **stored})


def load_manifest(text: str) -> Manifest:
    """What `dump` wrote.

    Raises:
        UsageError: It is no such thing, or was written by a newer version.
    """
    try:
        stored = json.loads(text)
        version = int(stored["version"])
        tables = {
            name: TableEntry(
                table["ddl"],
                {month: PartitionEntry(**part) for month, part in table["parts"].items()},
                table.get("state", ""),
            )
            for name, table in stored["tables"].items()
        }
        manifest = Manifest(stored["kind"], stored["generation"], tables)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"The folder's manifest cannot be read ({error}): give another --path."
        raise ConfigurationError(msg) from None
    if version > VERSION:
        msg = "A newer tower-etl wrote this folder: `pip install --upgrade tower-etl`."
        raise ConfigurationError(msg)
    return manifest


@dataclass(frozen=True)
class TableDiff:
    """What has become different in one table.

    Attributes:
        table: Its name.
        written: Months whose rows are others, or new.
        removed: Months that are no more.
        is_new: Whether its columns are others, or it was not there.
    """

    table: str
    written: tuple[str, ...]
    removed: tuple[str, ...]
    is_new: bool


@dataclass(frozen=True)
class ManifestDiff:
    """From one state of a lake to the next.

    Attributes:
        old: What the lake holds; None where it is new.
        new: What it is to hold.
    """

    old: Manifest | None
    new: Manifest

    @property
    def changes(self) -> list[TableDiff]:
        """What is different, table by table, in the order in which they are written."""
        known = self.known
        return [compare(name, known.get(name), table) for name, table in self.new.tables.items()]

    @property
    def known(self) -> Mapping[str, TableEntry]:
        """The tables that the lake holds."""
        return self.old.tables if self.old else {}


def compare(table: str, old: TableEntry | None, new: TableEntry) -> TableDiff:
    """Which months must be written; all of them where columns changed."""
    if old is None or old.ddl != new.ddl:
        gone = set(old.partitions) - set(new.partitions) if old else set()
        return TableDiff(table, tuple(sorted(new.partitions)), tuple(sorted(gone)), is_new=True)
    written = [
        month
        for month, part in sorted(new.partitions.items())
        if month not in old.partitions or old.partitions[month].fingerprint != part.fingerprint
    ]
    gone = set(old.partitions) - set(new.partitions)
    return TableDiff(table, tuple(written), tuple(sorted(gone)), is_new=False)
