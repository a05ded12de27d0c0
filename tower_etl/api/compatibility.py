"""Negotiation of request features that a server may not support, remembered per server version.

Older servers answer 400 to attributes that they do not know, and servers with a lower limit answer
400 to 100 items per page (API facts 1, 4 and 14). The result is kept in the sync state, so that not
every sync starts with rejected requests, and discarded when the version of the server changes.
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
    from tower_etl.api.records import Item

    Send = Callable[["RequestForm"], Item]
    Accepted = tuple[Item, "RequestForm"]

_SERVER_DEFAULT = 0  # stands for the default page size, of a server that rejects every `max`


@dataclass(frozen=True)
class RequestForm:
    """Parameters of a request that a server may reject.

    Attributes:
        attributes: Names of the attributes, oldest first.
        size: Items per page, None to send no `max`.
    """

    attributes: tuple[str, ...] = ()
    size: int | None = None

    @property
    def params(self) -> dict[str, str | int]:
        """Query parameters of this form."""
        attributes = {"attributes": ",".join(self.attributes)} if self.attributes else {}
        return {**attributes, **({} if self.size is None else {"max": self.size})}


_SMALLER_PAGES = (50, 25, 10, None)
_SIZE = re.compile(r"\bmax\b|page size|per page", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"attribute", re.IGNORECASE)
_REFUSALS = frozenset({None, HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


class Compatibility:
    """Thread-safe record of the features that one server does not support, and their negotiation.

    Attributes:
        can_search: Whether the listing supports `search=after:...`, None if not known yet.
        task_count_reliable: Whether the count of a task list is exact on every page.
        messages: Messages about features that were found unsupported since the state was loaded.
    """

    def __init__(self) -> None:
        self.can_search: bool | None = None
        self.task_count_reliable = True
        self.messages: list[str] = []
        self._version: str | None = None
        self._unknown: dict[str, tuple[str, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._accepted: set[tuple[str, RequestForm]] = set()
        self._lock = threading.RLock()

    def load(self, stored: Mapping[str, Any] | None, version: str | None) -> None:
        """Restore the result of `dump` of an earlier sync, unless the server's version differs."""
        self._version = version
        if not stored or stored.get("version") != version:
            return
        self._unknown = {path: tuple(names) for path, names in stored["attributes"].items()}
        self._sizes = dict(stored["page_sizes"])
        self.can_search, self.task_count_reliable = stored["searches"], stored["counts_tasks"]

    def dump(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {
            "version": self._version,
            "attributes": {path: list(names) for path, names in sorted(self._unknown.items())},
            "page_sizes": dict(sorted(self._sizes.items())),
            "searches": self.can_search,
            "counts_tasks": self.task_count_reliable,
        }

    def learn_search(self, *, works: bool) -> None:
        """Record whether the listing of runs supports bounds on the submission time.

        False is final, because a later listing may stay within the bounds by chance.
        """
        with self._lock:
            if works and self.can_search is False:
                return
            if not works and self.can_search is not False:
                self.messages.append(
                    "GET /workflow: the server does not filter runs by `search=after:...`. "
                    "Syncs list the newest runs instead, back to the start of their window."
                )
            self.can_search = works

    def negotiate(self, endpoint: Endpoint, full_form: RequestForm, send: Send) -> Accepted:
        """Return the response to a request, and the fullest form that the server accepts.

        Raises:
            BadRequestError: The server rejects the request in every form, or in a form that it
                accepted for another request of the endpoint.
        """
        form = self._reduce(endpoint, full_form)
        try:
            accepted = send(form), form
        except BadRequestError as error:
            may_be_form = error.status_code in _REFUSALS and form != RequestForm()
            if (endpoint.path, form) in self._accepted or not may_be_form:
                raise
            # One thread negotiates; the others wait and use what it has learned.
            with self._lock:
                latest = self._reduce(endpoint, full_form)
                if latest == form:
                    accepted = _retry_reduced(form, send, error)
                    if accepted[1] != form:
                        self._learn(endpoint, full_form, accepted[1])
                else:
                    accepted = send(latest), latest
        self._accepted.add((endpoint.path, accepted[1]))
        return accepted

    def _reduce(self, endpoint: Endpoint, full_form: RequestForm) -> RequestForm:
        """Return the form without the parts that the server is known to reject."""
        unknown = self._unknown.get(endpoint.path, ())
        size = None if full_form.size is None else self._sizes.get(endpoint.path, full_form.size)
        attributes = tuple(name for name in full_form.attributes if name not in unknown)
        return RequestForm(attributes, None if size == _SERVER_DEFAULT else size)

    def _learn(self, endpoint: Endpoint, full_form: RequestForm, accepted: RequestForm) -> None:
        """Record that the server accepts only part of a form."""
        unknown = tuple(name for name in full_form.attributes if name not in accepted.attributes)
        if unknown and self._unknown.get(endpoint.path) != unknown:
            self._unknown[endpoint.path] = unknown
            self.messages.append(
                f"GET {endpoint.path}: this version of the server does not know the attributes "
                f"{', '.join(unknown)}. Their columns stay null until the server is upgraded."
            )
        if full_form.size != accepted.size:
            self._sizes[endpoint.path] = accepted.size or _SERVER_DEFAULT
            allowed = f"at most {accepted.size}" if accepted.size else "only its default of"
            self.messages.append(
                f"GET {endpoint.path}: the server allows {allowed} items per page instead of "
                f"{MAX_PAGE}. Listings take more calls."
            )


def _retry_reduced(form: RequestForm, send: Send, error: BadRequestError) -> Accepted:
    """Return the response to the fullest form that the server accepts after it rejected one."""
    accepted = None
    if form.attributes and _ATTRIBUTES.search(str(error)):
        accepted = _find_attributes(form, send, error)
    elif form.size is None or not _SIZE.search(str(error)):
        send(RequestForm())  # raises if the cause of the rejection is not the form
    accepted = accepted or _find_form(form, send)
    if accepted is None:
        raise error
    return accepted


def _find_form(form: RequestForm, send: Send) -> Accepted | None:
    """Find the largest page size that the server accepts without attributes, then the attributes.

    The search starts with the rejected form, because a gateway may reject a request by chance.
    """
    if form.size is None:
        return _find_attributes(form, send)
    smaller_sizes = [size for size in _SMALLER_PAGES if (size or 0) < form.size]
    for size in (form.size, *smaller_sizes):
        try:
            without_attributes = send(RequestForm(size=size)), RequestForm(size=size)
        except BadRequestError:
            continue
        if not form.attributes:
            return without_attributes
        return _find_attributes(RequestForm(form.attributes, size), send) or without_attributes
    return None


def _find_attributes(
    form: RequestForm, send: Send, rejection: BadRequestError | None = None
) -> Accepted | None:
    """Find as many attributes as the server accepts at one page size, None if it accepts none.

    `rejection` is the error of the request with all attributes, None if it was not sent yet.
    """
    attributes, dropped = list(form.attributes), list[str]()
    while True:
        try:
            if rejection is not None:
                raise rejection
            reduced = RequestForm(tuple(attributes), form.size)
            accepted = send(reduced), reduced
            break
        except BadRequestError as error:
            if not attributes:
                return None
            dropped.append(attributes.pop(_rejected_index(attributes, str(error))))
            rejection = None
    for name in dropped[:-1]:  # these may have been dropped before the rejected one was found
        names = {*accepted[1].attributes, name}
        extended = RequestForm(tuple(one for one in form.attributes if one in names), form.size)
        with suppress(BadRequestError):
            accepted = send(extended), extended
    return accepted


def _rejected_index(attributes: list[str], text: str) -> int:
    """Return the index of the only attribute that an error names, else of the newest attribute."""
    named = [n for n, name in enumerate(attributes) if re.search(rf"\b{re.escape(name)}\b", text)]
    return named[0] if len(named) == 1 else len(attributes) - 1
