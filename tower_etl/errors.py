"""One tree of errors; each knows the exit code of the command line.

    TowerEtlError                1  an internal error
    ├── ConfigurationError               2  bad usage or settings
    │   └── FileAccessError      2  a file or folder cannot be used: permission, mode, name
    ├── DestinationLockedError          6  another sync holds the target
    ├── DestinationError         5  the destination failed or stopped answering
    │   └── StorageError         5  no room: disk, quota, memory, open files; or the device fails
    └── ApiError                 5  the server, or the way to it, failed
        ├── ApiConnectionError     5  no answer: name, route, TLS, time-out
        ├── ServerError     5  5xx, or an answer that is no API answer (HTML, half a JSON)
        │   ├── EndpointError    5  a wrong endpoint, or a proxy or gateway that refuses
        │   ├── ResponseTooLargeError   5  more bytes than any answer of the platform
        │   ├── MalformedResponseError 5  JSON of another shape than the endpoint gives
        │   └── AbsentListError  5  an answer without the list that its endpoint gives
        ├── RateLimitError       5  429, still after the last attempt
        ├── AuthenticationError    3  the server refuses the token
        ├── ForbiddenError       4  the token is good, but this thing is not for it
        ├── NotFoundError        4  no such thing
        └── BadRequestError      4  the server does not understand the call

Messages say what failed, where, and what to do next; never a token, never a header. They may quote
a server, so that they go through redaction like everything that comes from it.
"""

from __future__ import annotations

from typing import ClassVar

from tower_etl.redaction import redact_text


class TowerEtlError(Exception):
    """Root of the tree.

    Attributes:
        exit_code: What the command line exits with when this error ends it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(redact_text(message))


class ConfigurationError(TowerEtlError):
    """A flag, an environment variable, a settings file or a path is not usable as given."""

    exit_code = 2


class FileAccessError(ConfigurationError):
    """The operating system refuses a file or folder, and will as long as nobody changes that."""


class DestinationLockedError(TowerEtlError):
    """Another sync is writing into the same target."""

    exit_code = 6


class DestinationError(TowerEtlError):
    """The destination failed or stopped answering; the same command may succeed later."""

    exit_code = 5


class StorageError(DestinationError):
    """Disk, quota, memory or open files are used up, or a device fails."""


class ApiError(TowerEtlError):
    """A call to the API failed for good.

    Attributes:
        status_code: HTTP status of the last answer, None where there was none.
        retry_after: Seconds that the server asked to wait, None where it did not say.
        retryable: Whether the same call may succeed a little later.
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
    """No answer at all: the name does not resolve, nothing listens, TLS fails, time ran out."""

    retryable = True


class ServerError(ApiError):
    """5xx, or a success that carries no API answer (HTML from a gateway, half a JSON)."""

    retryable = True


class EndpointError(ServerError):
    """The endpoint redirects elsewhere, is not the API, or stands behind a proxy that refuses."""

    retryable = False


class ResponseTooLargeError(ServerError):
    """The answer has more bytes than any of the platform's; the next one would have as many."""

    retryable = False


class MalformedResponseError(ServerError):
    """The answer is JSON of another shape than the endpoint gives: a list for an object, say."""


class AbsentListError(ServerError):
    """The list that the endpoint gives is absent or null: the server does not have it."""


class RateLimitError(ApiError):
    """429: more calls than the server allows for this token."""

    retryable = True


class AuthenticationError(ApiError):
    """The server answers, but not to this token."""

    exit_code = 3


class ForbiddenError(ApiError):
    """403 to a token that is good elsewhere: no permission, or no such thing (API fact 11)."""

    exit_code = 4


class NotFoundError(ApiError):
    """404: no such thing, or no such endpoint on this server."""

    exit_code = 4


class BadRequestError(ApiError):
    """400 and other refusals of the call itself."""

    exit_code = 4
