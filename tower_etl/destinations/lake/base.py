"""What the mirror asks of a format of tables in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa
    from pyarrow.dataset import Dataset

    from tower_etl.destinations.lake.manifest import Manifest, ManifestDiff
    from tower_etl.destinations.lake.partitions import PartitionReader


class LakeFormat(Protocol):
    """Tables in files, in a folder or an object store."""

    @property
    def display_name(self) -> str:
        """What messages call it."""
        ...

    def read_manifest(self) -> Manifest | None:
        """What it holds; None if no sync has written to it.

        Raises:
            ConfigurationError: Something else is there.
        """
        ...

    def write(self, rows: PartitionReader, step: ManifestDiff, now: datetime) -> None:
        """Make it hold what the new manifest says, and then the manifest itself.

        Args:
            rows: Where they come from.
            step: From the state that `read_manifest` gave to the state to be.
            now: The time (UTC), to remove what is past its time.
        """
        ...

    def open_tables(self, manifest: Manifest) -> Mapping[str, pa.RecordBatchReader]:
        """All rows of all tables, as the sync left them that wrote this manifest, to be read once.

        Args:
            manifest: What `read_manifest` gave not long ago.
        """
        ...

    def open_datasets(self, manifest: Manifest) -> Mapping[str, Dataset]:
        """The same, to be read as often as wanted."""
        ...

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Their Parquet files."""
        ...

    def maintain(self, now: datetime) -> list[str]:
        """Remove what no reader needs any more, and put small files together; what was done."""
        ...
