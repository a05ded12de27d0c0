"""Small objects beside the tables of a lake in S3: read, and replaced if nobody else was quicker.

Keys, region and endpoint come from the variables that all tools for S3 read (`AWS_ACCESS_KEY_ID`
and the like), or from the role of the machine; the libraries find them by themselves.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True)
class StoredObject:
    """An object as it was read.

    Attributes:
        text: What it holds.
        tag: Names this version of it.
    """

    text: str
    etag: str


@dataclass(frozen=True)
class ObjectStore:
    """Objects below an address.

    Attributes:
        url: `s3://bucket/folder`.
        store: Reaches them.
    """

    url: str
    store: S3Store = field(repr=False)

    def read(self, name: str) -> StoredObject | None:
        """An object, None where there is none.

        Raises:
            ConfigurationError: The store cannot be reached, or refuses.
        """
        with self._explain():
            try:
                found = obstore.get(self.store, name)
            except FileNotFoundError:
                return None
            return StoredObject(bytes(found.bytes()).decode(), found.meta["e_tag"] or "")

    def put_if_match(self, name: str, text: str, seen: str | None) -> str | None:
        """Write an object that is still as it was seen.

        Args:
            name: Its name.
            text: What it is to hold.
            seen: The tag with which it was read; None where there was none.

        Returns:
            Its new tag; None if another program changed it, and nothing was written.

        Raises:
            ConfigurationError: The store cannot be reached, or refuses.
        """
        with self._explain():
            try:
                mode = "create" if seen is None else {"e_tag": seen}
                done = obstore.put(self.store, name, text.encode(), mode=mode)  # type: ignore[arg-type] # "version" may be left out
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return None
            return done["e_tag"]

    def remove(self, name: str) -> None:
        """Delete an object; that there is none is no error."""
        with self._explain():
            obstore.delete(self.store, name)

    def list_names(self) -> list[str]:
        """What is there at the top: objects and folders."""
        with self._explain():
            found = obstore.list_with_delimiter(self.store)
        return [*(entry["path"] for entry in found["objects"]), *found["common_prefixes"]]

    def iter_objects(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """The names of all objects below a folder, and when they were written (UTC)."""
        with self._explain():
            for found in obstore.list(self.store, prefix=folder):
                yield from ((entry["path"], entry["last_modified"]) for entry in found)

    def download(self, name: str, path: Path) -> None:
        """Copy an object to a file, piece by piece."""
        with self._explain(), path.open("wb") as file:
            for piece in obstore.get(self.store, name).stream():
                file.write(piece)

    @contextmanager
    def _explain(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            reason, _, _ = str(error).partition("Debug source")
            msg = (
                f"{self.url} cannot be reached: {' '.join(reason.split())[:300]}. Does the "
                "bucket exist, and are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, "
                "for another store than Amazon's, AWS_ENDPOINT_URL right?"
            )
            raise ConfigurationError(msg) from None


def open_bucket(url: str) -> ObjectStore:
    """The objects below an address; nothing is asked of the store yet."""
    store = S3Store.from_url(url, retry_config={"max_retries": 3, "retry_timeout": _PATIENCE})
    return ObjectStore(url, store)
