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
    NotFoundError,
    RateLimitError,
    ServerError,
)
from tower_etl.lossless import read_json

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


def parse_object(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    where: str,
    note_repair: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return the JSON object of a successful response, parsed without loss.

    Args:
        status: HTTP status.
        headers: Response headers.
        body: Decompressed body.
        where: Request as messages name it, such as `GET /workflow`.
        note_repair: Called with a description of the faults of a body that had to be repaired.

    Raises:
        ApiError: The status is not a success, or the body is not a JSON object.
    """
    if not HTTPStatus(200) <= status < HTTPStatus(300):
        raise _error_for_status(status, headers, body, where)
    parsed, faults = _read(body)
    if not isinstance(parsed, dict):
        kind = headers.get("Content-Type", "no content type").split(";")[0]
        msg = (
            f"{where}: the server answered {status} with {len(body)} bytes of {kind} that are no "
            "JSON object. A proxy or login page may stand in between: check the endpoint."
        )
        raise ServerError(msg, status_code=status)
    if faults:
        note_repair(f"{where}: {', '.join(faults)}")
    return parsed


def _read(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """Return the JSON value of a body and its repaired faults; None if the body is not JSON."""
    try:
        return read_json(body)
    except ValueError:
        return None, ()


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds to wait of a `Retry-After` header, a number or an HTTP date.

    Returns:
        None without the header, or if it is neither.
    """
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


def _error_for_status(status: int, headers: Mapping[str, str], body: bytes, where: str) -> ApiError:
    fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = _ERROR_BY_STATUS.get(status, ServerError if fault else BadRequestError)
    said = _error_message(body)
    msg = f"{where}: the server answered {status}" + (f" ({said})." if said else ".")
    retry_after = parse_retry_after(headers.get("Retry-After"))
    return kind(msg, status_code=status, retry_after=retry_after)


def _error_message(body: bytes) -> str:
    """Return the `message` of a JSON error body, empty for any other body such as HTML."""
    parsed, _ = _read(body)
    message = parsed.get("message") if isinstance(parsed, dict) else None
    words = " ".join(str(message).split())[:_SHOWN_CHARS] if message else ""
    # A terminal would interpret control characters.
    return "".join(letter for letter in words if letter.isprintable())
