"""What a server does not support, learned from its answers and remembered per server version.

Older servers answer 400 to attributes that they do not know, and servers with a lower limit to 100
items a page (API facts 1, 4 and 14). A sync that had to find that out would be refused again at
every start, so that it is kept in the state, and forgotten when the version of the server changes.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.pagination import Item

    Send = Callable[["RequestForm"], Item]
    Accepted = tuple[Item, "RequestForm"]

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


_SMALLER_PAGES = (50, 25, 10, None)
_SIZE = re.compile(r"\bmax\b|page size|per page", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"attribute", re.IGNORECASE)
_REFUSALS = frozenset({None, HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


class Negotiation:
    """Sends calls in a form that the server accepts.

    Attributes:
        compatibility: What the server is known not to support.
    """

    def __init__(self, compatibility: Compatibility) -> None:
        self.compatibility = compatibility
        self._accepted: set[tuple[str, RequestForm]] = set()
        self._lock = threading.RLock()

    def send(self, endpoint: Endpoint, wanted: RequestForm, send: Send) -> Accepted:
        """Return the answer to a call, and the form in which it was accepted.

        Args:
            endpoint: The endpoint.
            wanted: The fullest form.
            send: Makes the call in a form.

        Raises:
            BadRequestError: The server refuses the call in every form, or refuses one in the form
                in which it accepted another.
        """
        form = self.compatibility.reduce(endpoint, wanted)
        try:
            found = send(form), form
        except BadRequestError as error:
            is_on_form = error.status_code in _REFUSALS and form != RequestForm()
            if (endpoint.path, form) in self._accepted or not is_on_form:
                raise
            with self._lock:
                found = self._retry_reduced(endpoint, wanted, send, error, form)
        self._accepted.add((endpoint.path, found[1]))
        return found

    def _retry_reduced(
        self,
        endpoint: Endpoint,
        wanted: RequestForm,
        send: Send,
        error: BadRequestError,
        refused: RequestForm,
    ) -> Accepted:
        form = self.compatibility.reduce(endpoint, wanted)
        if form != refused:  # another thread learned it meanwhile
            return send(form), form
        found = None
        if form.attributes and _ATTRIBUTES.search(str(error)):
            found = _find_attributes(form, send, error)
        elif form.size is None or not _SIZE.search(str(error)):
            send(RequestForm())  # raises where the form is not at fault
        found = found or _find_form(form, send)
        if found is None:
            raise error
        if found[1] != form:
            self.compatibility.learn(endpoint, wanted, found[1])
        return found


def _find_form(form: RequestForm, send: Send) -> Accepted | None:
    """Find the largest page that the server accepts without attributes, and then those.

    It begins with the form that was refused, since a gateway may refuse by chance.
    """
    if form.size is None:
        return _find_attributes(form, send)
    smaller = [size for size in _SMALLER_PAGES if (size or 0) < form.size]
    for size in (form.size, *smaller):
        try:
            plain = send(RequestForm(size=size)), RequestForm(size=size)
        except BadRequestError:
            continue
        fuller = RequestForm(form.attributes, size)
        return _find_attributes(fuller, send) or plain if form.attributes else plain
    return None


def _find_attributes(
    form: RequestForm, send: Send, refusal: BadRequestError | None = None
) -> Accepted | None:
    """Find as many attributes as the server accepts at one page size, None where it takes none.

    Args:
        form: The attributes and the page size.
        send: Makes the call in a form.
        refusal: Why the server refused all of them, None where it was not asked.
    """
    attributes, dropped = list(form.attributes), list[str]()
    while True:
        try:
            if refusal is not None:
                raise refusal
            smaller = RequestForm(tuple(attributes), form.size)
            found = send(smaller), smaller
            break
        except BadRequestError as error:
            if not attributes:
                return None
            dropped.append(attributes.pop(_choose_culprit(attributes, str(error))))
            refusal = None
    return _add_again(found, form, dropped[:-1], send)


def _add_again(found: Accepted, form: RequestForm, names: list[str], send: Send) -> Accepted:
    """Ask again for attributes that were dropped before the one that was at fault."""
    for name in names:
        kept = {*found[1].attributes, name}
        fuller = RequestForm(tuple(one for one in form.attributes if one in kept), form.size)
        with suppress(BadRequestError):
            found = send(fuller), fuller
    return found


def _choose_culprit(attributes: list[str], text: str) -> int:
    """Return the place of the attribute that a refusal names alone, or of the youngest."""
    named = [n for n, name in enumerate(attributes) if re.search(rf"\b{re.escape(name)}\b", text)]
    return named[0] if len(named) == 1 else len(attributes) - 1
