"""What the mirror asks of a format of tables in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from pyarrow.dataset import Dataset

    from tower_etl.load.export import Export
    from tower_etl.load.manifest import Change, Manifest


class Lake(Protocol):
    """Tables in files, in a folder or an object store."""

    @property
    def title(self) -> str:
        """What messages call it."""
        ...

    def read_manifest(self) -> Manifest | None:
        """What it holds; None if no sync has written to it.

        Raises:
            UsageError: Something else is there.
        """
        ...

    def write(
        self, rows: Export, manifest: Manifest, changes: Sequence[Change], now: datetime
    ) -> None:
        """Make it hold what the manifest says, and then the manifest itself.

        Args:
            rows: Where they come from.
            manifest: Of the state to be.
            changes: What is different from the state that is.
            now: The time (UTC), to remove what is past its time.
        """
        ...

    def open_tables(self) -> Mapping[str, pa.RecordBatchReader]:
        """All rows of all tables, as the last sync left them, to be read once."""
        ...

    def open_datasets(self) -> Mapping[str, Dataset]:
        """The same, to be read as often as wanted."""
        ...

    def list_files(self) -> Mapping[str, list[str]]:
        """Their Parquet files."""
        ...

    def maintain(self, now: datetime) -> list[str]:
        """Remove what no reader needs any more, and put small files together; what was done."""
        ...
