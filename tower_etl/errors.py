"""Exception hierarchy of the package, with the exit code of the command line for each class.

    TowerEtlError                    1  internal error
    ├── ConfigurationError           2  invalid usage or settings
    │   └── FileAccessError          2  unusable file or folder: permission, mode, name
    ├── DestinationLockedError       6  another sync writes to the destination
    ├── DestinationError             5  the destination failed or stopped responding
    │   └── StorageError             5  disk, quota, memory or open files exhausted; failing device
    └── ApiError                     5  a request to the API failed
        ├── ApiConnectionError       5  no response: name, route, TLS, time-out
        ├── ServerError              5  5xx, or a body that is not the API's (HTML, truncated JSON)
        │   ├── EndpointError        5  wrong endpoint, or a proxy or gateway that refuses
        │   ├── ResponseTooLargeError  5  body larger than any response of the platform
        │   ├── MalformedResponseError 5  JSON of another shape than the endpoint documents
        │   └── AbsentListError      5  response without the list that its endpoint documents
        ├── RateLimitError           5  429, also at the last attempt
        ├── AuthenticationError      3  the server rejects the token
        ├── ForbiddenError           4  the token is valid, but lacks the permission
        ├── NotFoundError            4  no such entity or endpoint
        └── BadRequestError          4  the server rejects the request itself

Messages state what failed, where, and what to do next; they never contain a token or a header.
They may quote a server, so they are redacted like all other text from it.
"""

from __future__ import annotations

from typing import ClassVar

from tower_etl.redaction import redact_text


class TowerEtlError(Exception):
    """Base class of all errors of the package.

    Attributes:
        exit_code: Exit code of the command line when this error ends it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(redact_text(message))


class ConfigurationError(TowerEtlError):
    """Invalid flag, environment variable, settings file or path."""

    exit_code = 2


class FileAccessError(ConfigurationError):
    """Refusal of a file or folder by the operating system, permanent until somebody changes it."""


class DestinationLockedError(TowerEtlError):
    """Another sync is writing to the same destination."""

    exit_code = 6


class DestinationError(TowerEtlError):
    """Failure of the destination; the same command may succeed later."""

    exit_code = 5


class StorageError(DestinationError):
    """Exhausted disk, quota, memory or open files, or a failing device."""


class SyncStoppedError(Exception):
    """The sync was stopped, so that no further request is sent; no failure of a request."""


class ApiError(TowerEtlError):
    """Failure of a request to the API after all attempts.

    Attributes:
        status_code: HTTP status of the last response, None without a response.
        retry_after: Seconds to wait according to the server's `Retry-After`, None without one.
        retryable: Whether the same request may succeed a little later.
    """

    exit_code = 5
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, status_code: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.retry_after = retry_after


class ApiConnectionError(ApiError):
    """No response: unknown host name, refused connection, failure of TLS, or time-out."""

    retryable = True


class ServerError(ApiError):
    """Status 5xx, or a success whose body is not the API's (HTML of a gateway, truncated JSON)."""

    retryable = True


class EndpointError(ServerError):
    """The endpoint redirects elsewhere, is not the API, or is behind a proxy that refuses."""

    retryable = False


class ResponseTooLargeError(ServerError):
    """Body larger than any response of the platform; not retried, a retry would be as large."""

    retryable = False


class MalformedResponseError(ServerError):
    """The response is JSON of another shape than its endpoint documents: a list for an object."""


class AbsentListError(ServerError):
    """The list that the endpoint documents is absent or null: the server does not have it."""


class RateLimitError(ApiError):
    """Status 429: more requests than the server allows for this token."""

    retryable = True


class AuthenticationError(ApiError):
    """Status 401: the server rejects the token."""

    exit_code = 3


class ForbiddenError(ApiError):
    """Status 403 to a valid token: no permission, or no such entity (API fact 11)."""

    exit_code = 4


class NotFoundError(ApiError):
    """Status 404: no such entity, or no such endpoint on this server."""

    exit_code = 4


class BadRequestError(ApiError):
    """Status 400 and other rejections of the request itself."""

    exit_code = 4
