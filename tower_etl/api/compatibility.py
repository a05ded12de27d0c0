"""What a server does not support, learned from its answers and remembered per server version.

Older servers answer 400 to attributes that they do not know, and servers with a lower limit to 100
items a page (API facts 1, 4 and 14). A sync that had to find that out would be refused again at
every start, so that it is kept in the state, and forgotten when the version of the server changes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.api.endpoints import MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.api.endpoints import Endpoint

_SERVER_DEFAULT = 0  # the page size of a server that refuses every `max`


@dataclass(frozen=True)
class RequestForm:
    """What a call asks for that a server may refuse.

    Attributes:
        attributes: Names of the attributes, oldest first.
        size: Items a page, None where `max` is not sent.
    """

    attributes: tuple[str, ...] = ()
    size: int | None = None

    @property
    def params(self) -> dict[str, str | int]:
        """The query parameters."""
        attributes = {"attributes": ",".join(self.attributes)} if self.attributes else {}
        return {**attributes, **({} if self.size is None else {"max": self.size})}


class Compatibility:
    """What one server does not support; safe from several threads.

    Attributes:
        searches: Whether the listing understands `search=after:...`, None where that is not known.
        counts_tasks: Whether the count of a task list is exact on every page.
        news: Messages on what was learned since the state was loaded.
    """

    def __init__(self) -> None:
        self.searches: bool | None = None
        self.task_count_reliable = True
        self.messages: list[str] = []
        self._version: str | None = None
        self._unknown: dict[str, tuple[str, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def load(self, stored: Mapping[str, Any] | None, version: str | None) -> None:
        """Take what `dump` returned in an earlier sync, unless the server has another version."""
        self._version = version
        if not stored or stored.get("version") != version:
            return
        self._unknown = {path: tuple(names) for path, names in stored["attributes"].items()}
        self._sizes = dict(stored["page_sizes"])
        self.searches, self.task_count_reliable = stored["searches"], stored["counts_tasks"]

    def dump(self) -> dict[str, Any]:
        """Return what is known, as plain JSON."""
        return {
            "version": self._version,
            "attributes": {path: list(names) for path, names in sorted(self._unknown.items())},
            "page_sizes": dict(sorted(self._sizes.items())),
            "searches": self.searches,
            "counts_tasks": self.task_count_reliable,
        }

    def reduce(self, endpoint: Endpoint, wanted: RequestForm) -> RequestForm:
        """Return as much of a form as the server is not known to refuse."""
        unknown = self._unknown.get(endpoint.path, ())
        size = None if wanted.size is None else self._sizes.get(endpoint.path, wanted.size)
        attributes = tuple(name for name in wanted.attributes if name not in unknown)
        return RequestForm(attributes, None if size == _SERVER_DEFAULT else size)

    def learn(self, endpoint: Endpoint, wanted: RequestForm, accepted: RequestForm) -> None:
        """Remember that the server accepts only part of a form."""
        unknown = tuple(name for name in wanted.attributes if name not in accepted.attributes)
        with self._lock:
            if unknown and self._unknown.get(endpoint.path) != unknown:
                self._unknown[endpoint.path] = unknown
                self.messages.append(
                    f"GET {endpoint.path}: this version of the server does not know the attributes "
                    f"{', '.join(unknown)}. The columns that they fill stay null."
                )
            if wanted.size != accepted.size:
                self._sizes[endpoint.path] = accepted.size or _SERVER_DEFAULT
                allowed = f"at most {accepted.size}" if accepted.size else "only its own number of"
                self.messages.append(
                    f"GET {endpoint.path}: the server allows {allowed} items a page instead of "
                    f"{MAX_PAGE}. Listings take more calls."
                )

    def learn_search(self, *, works: bool) -> None:
        """Remember whether the listing of runs understands bounds on the submission time.

        Once it is known that it does not, a listing that happens to keep to them proves nothing.
        """
        with self._lock:
            if works and self.searches is False:
                return
            if not works and self.searches is not False:
                self.messages.append(
                    "GET /workflow: the server does not filter runs by `search=after:...`. "
                    "Listings read the newest runs instead, back to the start of their window."
                )
            self.searches = works
