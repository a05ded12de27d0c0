"""HTTP session and adapter: rate limit, deadlines, size limit, and binding of the token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout

from tower_etl.http.deadline import MAX_BODY_BYTES, deadline, duplicate_socket, read_body

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.http.rate_limit.limiter import RateLimiter

_SAFE_METHODS = frozenset({"GET", "HEAD"})


class _MaskedStr(str):
    """String with a masked representation, for tracebacks that print the variables of a frame."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL, to which the token is bound."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


class BearerAuth(AuthBase):
    """Authentication that adds the token only to requests to the configured origin."""

    def __init__(self, token: str, origin: tuple[str, str, int]) -> None:
        self._token = token
        self._origin = origin

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the Authorization header if the request goes to the configured origin."""
        if origin_of(request.url or "") == self._origin:
            request.headers["Authorization"] = _MaskedStr(f"Bearer {self._token}")
        return request

    def __repr__(self) -> str:
        return "BearerAuth(***)"


class _DeadlineHTTPPool(HTTPConnectionPool):
    """Connection pool that shuts a connection down if the response headers exceed the deadline."""

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 the base's
        # urllib3 applies `total` to connecting and to each read, not to all the response headers.
        total = kwargs["timeout"].total
        with deadline(total, lambda: conn.sock):
            return super()._make_request(conn, *args, **kwargs)


class _DeadlineHTTPSPool(_DeadlineHTTPPool, HTTPSConnectionPool):
    pass


def _install_pools(manager: Any) -> Any:  # noqa: ANN401 of a pool or a proxy
    # The manager of a SOCKS proxy has pool classes that must stay.
    if manager.pool_classes_by_scheme.get("http") is HTTPConnectionPool:
        manager.pool_classes_by_scheme = {"http": _DeadlineHTTPPool, "https": _DeadlineHTTPSPool}
    return manager


class RateLimitedAdapter(HTTPAdapter):
    """Adapter that enforces the rate limit, the deadline and the size limit of each request.

    Each redirect counts as a request. Methods other than GET and HEAD are rejected, so that no
    fault in the layers above can change data on the platform.

    Attributes:
        call_seconds: Deadline for the headers of a response, and again for its body.
        max_body_bytes: Maximum number of bytes of a decompressed body.
        ca_bundle: File or folder of trusted CA certificates, None for the default ones.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        connections: int,
        call_seconds: float = 120.0,
        ca_bundle: Path | None = None,
    ) -> None:
        self._limiter = limiter
        self.call_seconds = call_seconds
        self.max_body_bytes = MAX_BODY_BYTES
        self.ca_bundle = ca_bundle
        # urllib3 closes connections beyond `pool_maxsize` after use, and each new one costs a TLS
        # handshake.
        super().__init__(pool_connections=2, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 the base's signature
        """Install the connection pools with deadlines."""
        super().init_poolmanager(*args, **kwargs)
        _install_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 the base's signature
        """Return the manager of a proxy's connections, with pools that have deadlines."""
        return _install_pools(super().proxy_manager_for(*args, **kwargs))

    def send(
        self,
        request: requests.PreparedRequest,
        *args: Any,  # noqa: ANN401 the base's signature
        **kwargs: Any,  # noqa: ANN401 as above
    ) -> requests.Response:
        """Wait for the rate limiter, send the request, and read the whole response.

        Raises:
            ValueError: The method of the request is not GET or HEAD.
        """
        if request.method not in _SAFE_METHODS:
            msg = f"tower-etl only reads: {request.method} is not sent."
            raise ValueError(msg)
        connect, read = kwargs.get("timeout") or (None, None)
        # Streamed, because requests would otherwise read the body without deadline and size limit.
        kwargs |= {"stream": True, "timeout": Timeout(self.call_seconds, connect, read)}
        if self.ca_bundle:  # in a session, REQUESTS_CA_BUNDLE would override its `verify`
            kwargs["verify"] = str(self.ca_bundle)
        permit = self._limiter.acquire()
        try:
            response = super().send(request, *args, **kwargs)
        finally:
            self._limiter.record_response(permit)
        # Read here, because requests would read the body of a redirect without limits.
        with (
            duplicate_socket(response) as duplicate,
            deadline(self.call_seconds, lambda: duplicate),
        ):
            response._content = read_body(response, self.max_body_bytes)  # noqa: SLF001 as requests does
        return response


class ForeignRedirectError(requests.RequestException):
    """Redirect to another origin; `target` is its URL."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


class OriginBoundSession(requests.Session):
    """Session that follows only redirects to the same scheme, host and port.

    requests drops the token on a redirect to another host, so that the 401 of that host would look
    like a rejected token.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the target of a redirect, None for any other response.

        Raises:
            ForeignRedirectError: The target has another origin.
        """
        location = super().get_redirect_target(resp)
        target = urljoin(resp.url, location or "")
        if location is not None and origin_of(target) != origin_of(resp.url):
            raise ForeignRedirectError(target)
        return location
