"""What a call asks for: the query parameters, read as strictly as the real server does."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.quirks import Quirks

_ATTRIBUTES = frozenset({"optimized", "labels", "messages", "minimal", "pipelineInfo"})


@dataclass(frozen=True)
class Page:
    """A page of a listing.

    Attributes:
        offset: Rows to skip.
        size: Rows at most.
    """

    offset: int
    size: int


def refuse(status: int, message: str) -> HTTPException:
    """The answer to a call that is not granted."""
    return HTTPException(status, message)


def read_int(request: Request, name: str, default: int | None = None) -> int | None:
    """An integer parameter.

    Raises:
        HTTPException: 400, the text is no integer.
    """
    text = request.query_params.get(name)
    if text is None or not text:
        return default
    try:
        return int(text)
    except ValueError as fault:
        raise refuse(400, f"Invalid value for parameter {name}: {text}") from fault


def read_page(request: Request, default: int, quirks: Quirks) -> Page:
    """`offset` and `max`, which is at most 100, as far as the server heeds them.

    Raises:
        HTTPException: 400, either is out of its range.
    """
    size, offset = read_int(request, "max", default), read_int(request, "offset", 0)
    is_sent = "max" in request.query_params
    if size is None or size < 1 or (is_sent and size > quirks.largest_page):
        raise refuse(400, f"Parameter max must be between 1 and {quirks.largest_page}")
    if offset is None or offset < 0:
        raise refuse(400, "Parameter offset cannot be negative")
    if quirks.is_unpaged(request.url.path):
        return Page(0, sys.maxsize)
    size = default if quirks.ignores_max else size
    return Page(offset, min(size, quirks.page_cap or size))


def read_flag(request: Request, name: str) -> bool:
    """A boolean parameter, false when left out."""
    return request.query_params.get(name, "false").lower() == "true"


def read_attributes(
    request: Request, quirks: Quirks, known: frozenset[str] = _ATTRIBUTES
) -> frozenset[str]:
    """`attributes`, separated by commas.

    Raises:
        HTTPException: 400, one of them is unknown.
    """
    chosen = {
        name
        for text in request.query_params.getlist("attributes")
        for name in text.split(",")
        if name
    }
    if unknown := chosen - (known - quirks.unknown_attributes):
        raise refuse(400, f"Unknown attribute: {', '.join(sorted(unknown))}")
    return frozenset(chosen)
