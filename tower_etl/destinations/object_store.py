"""Small objects beside the tables of a lake in S3, with conditional writes.

obstore reads keys, region and endpoint from the environment variables of the AWS tools
(`AWS_ACCESS_KEY_ID` etc.), or from the role of the machine.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from tower_etl.destinations.local_folder import StoredObject
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_RETRY_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True)
class ObjectStore:
    """Objects below a URL.

    Attributes:
        url: URL such as `s3://bucket/folder`.
        store: Client of the object store, bound to the URL.
    """

    url: str
    store: S3Store = field(repr=False)

    def __str__(self) -> str:
        return self.url

    def read(self, name: str) -> StoredObject | None:
        """Return an object, or None if it does not exist.

        Raises:
            ConfigurationError: The store cannot be reached, or denies access.
        """
        with self._explain():
            try:
                response = obstore.get(self.store, name)
            except FileNotFoundError:
                return None
            return StoredObject(bytes(response.bytes()).decode(), response.meta["e_tag"] or "")

    def put_if_match(self, name: str, text: str, etag: str | None) -> str | None:
        """Write an object if its current version has an ETag, or if it does not exist.

        Args:
            name: Name of the object.
            text: New content.
            etag: ETag of the version to replace; None if the object must not exist.

        Returns:
            ETag of the new version; None if another program changed the object, in which case
            nothing was written.

        Raises:
            ConfigurationError: The store cannot be reached, or denies access.
        """
        with self._explain():
            try:
                mode = "create" if etag is None else {"e_tag": etag}
                result = obstore.put(self.store, name, text.encode(), mode=mode)  # type: ignore[arg-type] # "version" is optional
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return None
            return result["e_tag"]

    def remove(self, name: str) -> None:
        """Delete an object; do nothing if it does not exist."""
        with self._explain():
            obstore.delete(self.store, name)

    def list_names(self) -> list[str]:
        """Return the names of the objects and folders at the top level."""
        with self._explain():
            listing = obstore.list_with_delimiter(self.store)
        return [*(entry["path"] for entry in listing["objects"]), *listing["common_prefixes"]]

    def iter_objects(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Iterate over the names and modification times (UTC) of all objects below a folder."""
        with self._explain():
            for entries in obstore.list(self.store, prefix=folder):
                yield from ((entry["path"], entry["last_modified"]) for entry in entries)

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
            # The message of obstore ends with a dump of its source error.
            reason, _, _ = str(error).partition("Debug source")
            msg = (
                f"{self.url} cannot be reached: {' '.join(reason.split())[:300]}. Check that the "
                "bucket exists, and check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION "
                "and, for a store other than Amazon S3, AWS_ENDPOINT_URL."
            )
            raise ConfigurationError(msg) from None


def open_bucket(url: str) -> ObjectStore:
    """Return the objects below a URL, without a request to the store."""
    store = S3Store.from_url(url, retry_config={"max_retries": 3, "retry_timeout": _RETRY_TIMEOUT})
    return ObjectStore(url, store)
