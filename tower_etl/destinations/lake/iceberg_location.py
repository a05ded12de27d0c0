"""The folder of an Iceberg lake, here or in a bucket, and what names the newest state of a table.

`metadata/version-hint.text` does so for programs without a catalog. In a bucket it is all the
catalog that there is, and is replaced only if nobody else was quicker.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pyarrow import dataset, fs

from tower_etl.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyarrow.dataset import Dataset

    from tower_etl.destinations.object_store import ObjectStore

HINT = "metadata/version-hint.text"
_METADATA = ".metadata.json"
_AMAZON = "https://s3.amazonaws.com"
_REGION = "us-east-1"


@dataclass(frozen=True)
class VersionHint:
    """What names the newest metadata of a table.

    Attributes:
        metadata: Where that is.
        tag: Names this version of the hint, in a bucket.
    """

    metadata: str
    tag: str = ""


class IcebergLocation(Protocol):
    """A place for Iceberg tables, each in a folder of its name."""

    @property
    def title(self) -> str:
        """What messages call it."""
        ...

    @property
    def url(self) -> str:
        """Its address, as PyIceberg writes it."""
        ...

    @property
    def catalog(self) -> str | None:
        """The address of a catalog of its own."""
        ...

    @property
    def access(self) -> Mapping[str, str]:
        """What PyIceberg is to be told to reach the files; no keys."""
        ...

    def read_hint(self, table: str) -> VersionHint | None:
        """The newest metadata; None where nobody has named any."""
        ...

    def update_version_hint(self, table: str, metadata: str, seen: VersionHint | None) -> None:
        """Let the hint name other metadata, if it lies here.

        Args:
            table: Whose.
            metadata: Where it is.
            seen: What `read_hint` gave before the commit.

        Raises:
            DestinationError: Another sync moved it in between.
        """
        ...

    def open_dataset(self, files: Sequence[str]) -> Dataset:
        """Parquet files, by their addresses; one at least."""
        ...

    def iter_files(self, table: str) -> Iterator[tuple[str, datetime]]:
        """The addresses of all files of a table, and when they were written (UTC)."""
        ...

    def remove(self, file: str) -> None:
        """Delete a file."""
        ...


@dataclass(frozen=True)
class LocalLocation:
    """A folder of this machine.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def title(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def url(self) -> str:
        """As PyIceberg has it, which quotes nothing."""
        return f"file://{self.root}"

    @property
    def catalog(self) -> str | None:
        """A SQLite file."""
        return f"sqlite:///{self.root}/catalog.db"

    @property
    def access(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def read_hint(self, table: str) -> VersionHint | None:
        """A file."""
        path = self.root / table / HINT
        return _parse(self.url, table, path.read_text(encoding="utf-8")) if path.is_file() else None

    def update_version_hint(self, table: str, metadata: str, seen: VersionHint | None) -> None:
        """By a rename; the lock of the operating system keeps others out."""
        del table, seen
        newest = Path(strip_scheme(metadata))
        if not newest.is_file():
            return
        path = newest.with_name(Path(HINT).name)
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(newest.name.removesuffix(_METADATA), encoding="utf-8")
        draft.replace(path)

    def open_dataset(self, files: Sequence[str]) -> Dataset:
        """Plain files."""
        return dataset.dataset([strip_scheme(file) for file in files], format="parquet")

    def iter_files(self, table: str) -> Iterator[tuple[str, datetime]]:
        """All below the folder of the table."""
        for path in (self.root / table).rglob("*"):
            if path.is_file():
                yield f"file://{path}", datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def remove(self, file: str) -> None:
        """Unlink it."""
        Path(strip_scheme(file)).unlink(missing_ok=True)


@dataclass(frozen=True)
class ObjectStoreLocation:
    """A folder in a bucket.

    Attributes:
        bucket: The folder.
        access: What PyIceberg is to be told about the store; no keys.
    """

    bucket: ObjectStore
    access: Mapping[str, str]

    @property
    def title(self) -> str:
        """Its address."""
        return self.bucket.url

    @property
    def url(self) -> str:
        """Its address."""
        return self.bucket.url

    @property
    def catalog(self) -> str | None:
        """None: a SQLite file cannot be changed in a bucket."""
        return None

    def read_hint(self, table: str) -> VersionHint | None:
        """An object."""
        found = self.bucket.read(f"{table}/{HINT}")
        return _parse(self.url, table, found.text, found.etag) if found else None

    def update_version_hint(self, table: str, metadata: str, seen: VersionHint | None) -> None:
        """By a conditional PUT: who lost its lease cannot take back what another sync wrote."""
        folder, _, newest = metadata.rpartition("/")
        if folder != f"{self.url}/{table}/metadata":
            return
        name = newest.removesuffix(_METADATA)
        if self.bucket.put_if_match(f"{table}/{HINT}", name, seen.tag if seen else None) is None:
            msg = f"Another sync has written {table} into {self.url} meanwhile: run again."
            raise DestinationError(msg)

    def open_dataset(self, files: Sequence[str]) -> Dataset:
        """Objects, by pyarrow's own way to them, as PyIceberg's."""
        store = fs.S3FileSystem(
            region=self.access["s3.region"],
            endpoint_override=self.access.get("s3.endpoint"),
            proxy_options=self.access.get("s3.proxy-uri"),
        )
        return dataset.dataset(
            [strip_scheme(file) for file in files], format="parquet", filesystem=store
        )

    def iter_files(self, table: str) -> Iterator[tuple[str, datetime]]:
        """All whose names begin with that of the table."""
        for name, modified in self.bucket.iter_objects(table):
            yield f"{self.url}/{name}", modified

    def remove(self, file: str) -> None:
        """Delete the object."""
        self.bucket.remove(file.removeprefix(f"{self.url}/"))


def s3_properties(environ: Mapping[str, str]) -> Mapping[str, str]:
    """What PyIceberg does not read by itself, by its own names: endpoint, region and proxy.

    Keys are not among them: pyarrow finds those where obstore does.
    """
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or _REGION
    found = {"s3.endpoint": endpoint, "s3.region": region, "s3.proxy-uri": _find_proxy(endpoint)}
    return {name: value for name, value in found.items() if value}


def _find_proxy(endpoint: str | None) -> str | None:
    """The proxy of the environment, which obstore heeds and pyarrow does not."""
    parts = urlsplit(endpoint or _AMAZON)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def strip_scheme(address: str) -> str:
    """The path in an address, as pyarrow has it: that of a bucket begins with its name."""
    _, _, path = address.rpartition("://")
    return path


def _parse(url: str, table: str, text: str, tag: str = "") -> VersionHint:
    return VersionHint(f"{url}/{table}/metadata/{text.strip()}{_METADATA}", tag)
