"""Failures of fetches as values: one bad answer fails its run alone."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from tower_etl.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    ServerError,
)
from tower_etl.http import RateLimiterClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

Done = TypeVar("Done")
Failure = ApiError | RateLimiterClosedError
_ACCESS_DENIED = (ForbiddenError, NotFoundError, BadRequestError, AuthenticationError)
_SHOWN_CHARS = 300


def capture_failure(work: Callable[[], Done]) -> Done | Failure:
    """Return the result of `work`, or the error that it raised."""
    try:
        return work()
    except (ApiError, RateLimiterClosedError) as error:
        return error
    except Exception as error:  # noqa: BLE001 an answer that nobody foresaw fails its run alone
        msg = f"unexpected response ({type(error).__name__}: {error})"
        return ServerError(msg[:_SHOWN_CHARS])


def is_access_denied(result: object) -> bool:
    """Whether the server lacks an endpoint, or keeps it from the token (API fact 11).

    A page that is no answer of the API, with a status that says success, is one way to lack it.
    """
    if isinstance(result, ServerError):
        return result.status_code == HTTPStatus.OK
    return isinstance(result, _ACCESS_DENIED)
