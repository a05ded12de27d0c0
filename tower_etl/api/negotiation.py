"""Calls in the fullest form that a server accepts.

A server that refuses a form with 400 is asked for less: for one attribute less at a time, the
youngest first, and for fewer items a page. Only one thread does that for an endpoint; the others
wait, and use what it learned.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from tower_etl.api.compatibility import RequestForm
from tower_etl.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api.compatibility import Compatibility
    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.pages import Item

    Send = Callable[[RequestForm], Item]
    Accepted = tuple[Item, RequestForm]

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
