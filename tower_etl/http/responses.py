"""Parsing of HTTP responses into JSON objects or API errors."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tower_etl.errors import (
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    MalformedResponseError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from tower_etl.lossless import ExactNumber, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tower_etl.errors import ApiError

_ERROR_BY_STATUS: Mapping[int, type[ApiError]] = {
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.REQUEST_TIMEOUT: ServerError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitError,
    HTTPStatus.NOT_IMPLEMENTED: BadRequestError,  # permanent, unlike other 5xx: not retried
}
_SHOWN_CHARS = 200
_JSON_KINDS: Mapping[type, str] = {
    list: "a list",
    str: "a text",
    bool: "a truth value",
    type(None): "null",
    int: "a number",
    float: "a number",
    ExactNumber: "a number",
}


def parse_object(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    request: str,
    on_repair: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return the JSON object of a successful response, parsed without loss.

    Messages name the request, such as `GET /workflow`. `on_repair` is called with a description of
    the faults of a body that had to be repaired.

    Raises:
        ApiError: The status is not a success, or the body is not a JSON object.
    """
    if not HTTPStatus(200) <= status < HTTPStatus(300):
        raise _error_for_status(status, headers, body, request)
    kind = headers.get("Content-Type", "no content type").split(";")[0]
    answered = f"{request}: the server answered {status} with {len(body)} bytes of {kind} that are"
    unreadable = ""
    try:
        parsed, faults = read_json(body)
    except ValueError as error:
        unreadable = _explain_unreadable(body, error)
    if unreadable:  # raised outside of `except`: the error has no context, whose frames have values
        msg = f"{answered} no JSON object{unreadable}"
        raise ServerError(msg, status_code=status)
    if not isinstance(parsed, dict):
        msg = (
            f"{answered} no JSON object but {_JSON_KINDS[type(parsed)]}. Report it to the "
            "administrator of the server."
        )
        raise MalformedResponseError(msg, status_code=status)
    if faults:
        on_repair(f"{request}: {', '.join(faults)}")
    return parsed


def _explain_unreadable(body: bytes, error: ValueError) -> str:
    """Return the error of the parser for a body that begins like JSON, else its likely sender."""
    if body.lstrip()[:1] in {b"{", b"["}:
        return f" ({error}). If it persists, report it to the administrator of the server."
    return ". A proxy or login page may stand in between: check the endpoint."


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds to wait of a `Retry-After` header: a number or an HTTP date, else None."""
    if value is None:
        return None
    if re.fullmatch(r"[ \t]*[0-9]{1,9}(\.[0-9]+)?[ \t]*", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, OverflowError):
        return None


def _error_for_status(
    status: int, headers: Mapping[str, str], body: bytes, request: str
) -> ApiError:
    fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = _ERROR_BY_STATUS.get(status, ServerError if fault else BadRequestError)
    quoted = _error_message(body)
    msg = f"{request}: the server answered {status}" + (f" ({quoted})." if quoted else ".")
    retry_after = parse_retry_after(headers.get("Retry-After"))
    return kind(msg, status_code=status, retry_after=retry_after)


def _error_message(body: bytes) -> str:
    """Return the `message` of a JSON error body, empty for any other body such as HTML."""
    try:
        parsed, _ = read_json(body)
    except ValueError:
        return ""
    message = parsed.get("message") if isinstance(parsed, dict) else None
    words = " ".join(str(message).split())[:_SHOWN_CHARS] if message else ""
    # A terminal would interpret control characters.
    return "".join(char for char in words if char.isprintable())
