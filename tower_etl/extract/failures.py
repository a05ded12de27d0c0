"""Failures of requests as values, so that a failure does not affect other requests."""

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
    SyncStoppedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ResultT = TypeVar("ResultT")
Failure = ApiError | SyncStoppedError
_ACCESS_DENIED = (ForbiddenError, NotFoundError, BadRequestError, AuthenticationError)
_SHOWN_CHARS = 300


def capture_failure(request: Callable[[], ResultT]) -> ResultT | Failure:
    """Return the result of `request`, or the error that it raised."""
    try:
        return request()
    except (ApiError, SyncStoppedError) as error:
        return error
    except Exception as error:  # noqa: BLE001 an unforeseen response must fail its run only
        msg = f"unexpected response ({type(error).__name__}: {error})"
        return ServerError(msg[:_SHOWN_CHARS])


def is_access_denied(result: object) -> bool:
    """Return whether the server lacks an endpoint or denies access to it (API fact 11).

    A response with status 200 that is not JSON of the API, such as a web page, also counts.
    """
    if isinstance(result, ServerError):
        return result.status_code == HTTPStatus.OK
    return isinstance(result, _ACCESS_DENIED)
