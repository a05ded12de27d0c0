"""The one seam through which everything crosses HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

if TYPE_CHECKING:
    from tower_etl.http.budget import Budget


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a token is bound to."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


class BearerAuth(AuthBase):
    """Puts the token on calls to the configured origin, and on no other."""

    def __init__(self, token: str, origin: tuple[str, str, int]) -> None:
        self._token = token
        self._origin = origin

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header where the request goes to the configured origin."""
        if origin_of(request.url or "") == self._origin:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def __repr__(self) -> str:
        return "BearerAuth(***)"


class BudgetedAdapter(HTTPAdapter):
    """Lets a request out when the budget allows it; a redirected one pays again."""

    def __init__(self, budget: Budget, connections: int) -> None:
        self._budget = budget
        super().__init__(pool_connections=2, pool_maxsize=connections)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 the base's signature
        """Wait until it may go out, send, and say when it was answered."""
        departure = self._budget.acquire()
        try:
            return super().send(*args, **kwargs)
        finally:
            self._budget.settle(departure)


class BoundSession(requests.Session):
    """A session that drops the token when it is sent elsewhere."""

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Drop the token unless the redirect stays on scheme, host and port."""
        came_from = origin_of(response.request.url or "")
        if origin_of(prepared_request.url or "") != came_from:
            prepared_request.headers.pop("Authorization", None)
