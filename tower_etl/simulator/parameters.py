"""Query parameters, validated as strictly as on the platform."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.api_versions import Quirks

_RUN_ATTRIBUTES = frozenset({"optimized", "labels", "messages", "minimal", "pipelineInfo"})


@dataclass(frozen=True)
class Page:
    """A page of a list: rows to skip, and the maximum number of rows."""

    offset: int
    size: int

    @property
    def rows(self) -> slice:
        """Slice of the list."""
        return slice(self.offset, self.offset + self.size)


def http_error(status: int, message: str) -> HTTPException:
    """Return the exception for an error response."""
    return HTTPException(status, message)


def read_int(request: Request, name: str, default: int | None = None) -> int | None:
    """Return an integer parameter.

    Raises:
        HTTPException: 400, the text is not an integer.
    """
    text = request.query_params.get(name)
    if text is None or not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise http_error(400, f"Invalid value for parameter {name}: {text}") from error


def read_page(request: Request, default: int, quirks: Quirks) -> Page:
    """Return the page requested by `offset` and `max`, subject to the quirks of the server.

    Raises:
        HTTPException: 400, a value is out of range.
    """
    size, offset = read_int(request, "max", default), read_int(request, "offset", 0)
    is_sent = "max" in request.query_params
    if size is None or size < 1 or (is_sent and size > quirks.largest_page):
        raise http_error(400, f"Parameter max must be between 1 and {quirks.largest_page}")
    if offset is None or offset < 0:
        raise http_error(400, "Parameter offset cannot be negative")
    if quirks.is_unpaged(request.url.path):
        return Page(0, sys.maxsize)
    size = default if quirks.ignores_max else size
    return Page(offset, min(size, quirks.page_cap or size))


def read_flag(request: Request, name: str) -> bool:
    """Return a boolean parameter, false by default."""
    return request.query_params.get(name, "false").lower() == "true"


def read_attributes(
    request: Request, quirks: Quirks, known: frozenset[str] = _RUN_ATTRIBUTES
) -> frozenset[str]:
    """Return the names in `attributes`, separated by commas.

    Raises:
        HTTPException: 400, an attribute is unknown.
    """
    texts = request.query_params.getlist("attributes")
    requested = {name for text in texts for name in text.split(",") if name}
    if unknown := requested - (known - quirks.unknown_attributes):
        raise http_error(400, f"Unknown attribute: {', '.join(sorted(unknown))}")
    return frozenset(requested)
