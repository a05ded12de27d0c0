"""Interface of the lake formats: Parquet, Delta and Iceberg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pyarrow.dataset import Dataset

    from tower_etl.destinations.lake.manifest import Manifest, ManifestDiff
    from tower_etl.destinations.lake.partitions import PartitionReader


class LakeFormat(Protocol):
    """Tables of one format in a folder or an object store."""

    @property
    def title(self) -> str:
        """Name in messages."""
        ...

    def read_manifest(self) -> Manifest | None:
        """Return the manifest of the last sync, or None if no sync has written to the lake.

        Raises:
            ConfigurationError: The folder contains other files.
        """
        ...

    def write(self, reader: PartitionReader, diff: ManifestDiff, now: datetime) -> None:
        """Write the changed partitions, and then the new manifest.

        Args:
            reader: Reader of the partitions of the staging database.
            diff: Difference between the manifest of `read_manifest` and the new one.
            now: Current time (UTC), to delete files whose retention has ended.
        """
        ...

    def open_datasets(self, manifest: Manifest) -> Mapping[str, Dataset]:
        """Return a dataset per table in the snapshot of a manifest.

        Args:
            manifest: Manifest that `read_manifest` returned within the retention of snapshots.
        """
        ...

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Return the paths of the Parquet files per table in the snapshot of a manifest."""
        ...

    def maintain(self, now: datetime) -> list[str]:
        """Delete expired data, compact, and return messages on the changes."""
        ...
