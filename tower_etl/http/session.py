"""The one seam through which everything crosses HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout

from tower_etl.http.deadline import (
    MAX_BODY_BYTES,
    deadline,
    duplicate_socket,
    read_body,
)
from tower_etl.http.origin import origin_of

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.http.rate_limit.limiter import RateLimiter

_SAFE_METHODS = frozenset({"GET", "HEAD"})


class _MaskedStr(str):
    """A text that does not show itself where a debugger prints the variables of a frame."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class BearerAuth(AuthBase):
    """Puts the token on calls to the configured origin, and on no other."""

    def __init__(self, token: str, origin: tuple[str, str, int]) -> None:
        self._token = token
        self._origin = origin

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header where the request goes to the configured origin."""
        if origin_of(request.url or "") == self._origin:
            request.headers["Authorization"] = _MaskedStr(f"Bearer {self._token}")
        return request

    def __repr__(self) -> str:
        return "BearerAuth(***)"


class _DeadlineHTTPPool(HTTPConnectionPool):
    """Cuts a connection on which the head of an answer takes longer than the whole call may."""

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 the base's
        total = kwargs["timeout"].total
        with deadline(total, lambda: conn.sock):
            return super()._make_request(conn, *args, **kwargs)


class _DeadlineHTTPSPool(_DeadlineHTTPPool, HTTPSConnectionPool):
    """The same over TLS."""


class RateLimitedAdapter(HTTPAdapter):
    """Lets a request out when the budget allows it, and in with it what an answer may be.

    A redirected request pays again. Nothing but reading goes out: what the platform holds cannot
    be changed through it, whatever is asked for above.

    Attributes:
        call_seconds: Time for the head of an answer, and as much again for its body.
        max_body_bytes: Most bytes of a body, decompressed.
        ca_bundle: File or folder of the certificates to trust, None for the usual ones.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        connections: int,
        call_seconds: float = 120.0,
        max_body_bytes: int = MAX_BODY_BYTES,
        ca_bundle: Path | None = None,
    ) -> None:
        self._budget = limiter
        self.call_seconds = call_seconds
        self.max_body_bytes = max_body_bytes
        self.ca_bundle = ca_bundle
        super().__init__(pool_connections=2, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 the base's signature
        """Use pools that end what does not end."""
        super().init_poolmanager(*args, **kwargs)
        self._install_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 the base's signature
        """The same on the way through a proxy."""
        return self._install_pools(super().proxy_manager_for(*args, **kwargs))

    def send(
        self,
        request: requests.PreparedRequest,
        *args: Any,  # noqa: ANN401 the base's signature
        **kwargs: Any,  # noqa: ANN401 as above
    ) -> requests.Response:
        """Wait until it may go out, send, say when it was answered, and read the answer whole.

        Raises:
            ValueError: The request would do more than read.
        """
        if request.method not in _SAFE_METHODS:
            msg = f"tower-etl only reads: {request.method} is not sent."
            raise ValueError(msg)
        connect, read = kwargs.get("timeout") or (None, None)
        kwargs |= {"stream": True, "timeout": Timeout(self.call_seconds, connect, read)}
        if self.ca_bundle:  # a session would let a variable of the environment go before it
            kwargs["verify"] = str(self.ca_bundle)
        departure = self._budget.acquire()
        try:
            response = super().send(request, *args, **kwargs)
        finally:
            self._budget.record_response(departure)
        self._read(response)
        return response

    def _read(self, response: requests.Response) -> None:
        """Read the body here, also that of a redirect, which requests would read without end."""
        with duplicate_socket(response) as held, deadline(self.call_seconds, lambda: held):
            response._content = read_body(response, self.max_body_bytes)  # noqa: SLF001 as requests does

    @staticmethod
    def _install_pools(manager: Any) -> Any:  # noqa: ANN401 of a pool or a proxy
        if manager.pool_classes_by_scheme.get("http") is HTTPConnectionPool:  # SOCKS has its own
            manager.pool_classes_by_scheme = {
                "http": _DeadlineHTTPPool,
                "https": _DeadlineHTTPSPool,
            }
        return manager


class ForeignRedirectError(requests.RequestException):
    """A redirect leads to another origin.

    Attributes:
        target: The address that it leads to.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


class OriginBoundSession(requests.Session):
    """A session that follows redirects on the same scheme, host and port, and no others.

    Elsewhere the call would arrive without the token, and its refusal be taken for the server's.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer redirects to.

        Raises:
            ForeignRedirectError: It is another origin.
        """
        location = super().get_redirect_target(resp)
        if location is None:
            return None
        target = urljoin(resp.url, location)
        if origin_of(target) != origin_of(resp.url):
            raise ForeignRedirectError(target)
        return location
