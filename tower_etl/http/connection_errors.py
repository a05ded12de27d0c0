"""Mapping of requests without a response to API errors that state the cause and the remedy.

Messages show only the origin of a URL and the base path of an API, because the user, the password
and the query of a URL may be secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests import exceptions
from requests.utils import select_proxy

from tower_etl.errors import ApiConnectionError, EndpointError, ResponseTooLargeError
from tower_etl.http.deadline import BodyTooLargeError, DeadlineExceededError
from tower_etl.http.session import ForeignRedirectError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.errors import ApiError

_CHECK = "Check the endpoint and the network."
_EXAMPLE = "http://$USER:$PASSWORD@"
_SHOWN_CHARS = 200
# The order matters: InvalidProxyURL of requests is a ValueError, too.
_CAUSES: tuple[tuple[type[Exception], str, str], ...] = (
    (
        exceptions.SSLError,
        "the TLS certificate or handshake was not accepted",
        "Check the endpoint; for a certificate of a private authority, use --ca-bundle FILE.",
    ),
    (exceptions.ConnectTimeout, "the connection attempt timed out", _CHECK),
    (DeadlineExceededError, "the response was not complete before the deadline", _CHECK),
    (exceptions.ReadTimeout, "the server took too long to respond", _CHECK),
    (exceptions.ChunkedEncodingError, "the response was cut off", _CHECK),
    (exceptions.ContentDecodingError, "the response could not be decompressed", _CHECK),
    (
        exceptions.InvalidProxyURL,
        "the URL of the proxy is not valid",
        "Set HTTPS_PROXY to a URL such as http://proxy.example.org:3128.",
    ),
    (ValueError, "a URL is not valid", _CHECK),
)


@dataclass(frozen=True)
class RequestContext:
    """Path of a request, base URL of the endpoint, and URLs of proxies by scheme."""

    path: str
    endpoint: str
    proxies: Mapping[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """Host and port of the endpoint."""
        return urlsplit(self.endpoint).netloc

    @property
    def proxy(self) -> str | None:
        """URL of the proxy for the endpoint, None without one."""
        return select_proxy(self.endpoint, dict(self.proxies))

    @property
    def proxy_name(self) -> str:
        """Host and port of the proxy."""
        return urlsplit(self.proxy or "").netloc.rpartition("@")[2]

    @property
    def variable(self) -> str:
        """Environment variable that configures the proxy."""
        return f"{urlsplit(self.endpoint).scheme.upper()}_PROXY"


def explain_failure(request: RequestContext, error: Exception) -> ApiError:
    """Return the API error for an exception that ended a request."""
    if isinstance(error, ForeignRedirectError):
        return _explain_redirect(request, error.target)
    if isinstance(error, exceptions.TooManyRedirects):
        msg = (
            f"GET {request.path}: {request.host} redirects in a loop. Check the endpoint, "
            "and any proxy or login page in front of it."
        )
        return EndpointError(msg)
    if isinstance(error, BodyTooLargeError):
        msg = (
            f"GET {request.path}: the response is larger than any response of the platform. It "
            "may come from a proxy or login page: check the endpoint."
        )
        return ResponseTooLargeError(msg)
    if isinstance(error, exceptions.ProxyError):
        return _explain_proxy(request, error)
    cause, remedy = _find_cause(error)
    return ApiConnectionError(
        f"GET {request.path}: no answer from {request.host} ({cause}). {remedy}"
    )


def _find_cause(error: Exception) -> tuple[str, str]:
    """Return the cause of a missing response, and the remedy."""
    if isinstance(error, exceptions.InvalidSchema) and "SOCKS" in str(error):
        return "the proxy is a SOCKS proxy, which requires PySocks", "Run: pip install pysocks."
    for kind, cause, remedy in _CAUSES:
        if isinstance(error, kind):
            return cause, remedy
    if isinstance(error, exceptions.ConnectionError):
        return _find_connection_cause(error), _CHECK
    return type(error).__name__, _CHECK


def _find_connection_cause(error: Exception) -> str:
    # requests and urllib3 nest the cause at varying depths; the representation contains them all.
    text = repr(error)
    if "NameResolution" in text or "getaddrinfo" in text:
        return "the name does not resolve"
    if "refused" in text:
        return "the connection was refused"
    return "the connection was closed"


def _explain_redirect(request: RequestContext, target: str) -> EndpointError:
    """Return the error for a redirect to another origin, with the endpoint to use if known."""
    here, there, parts = _name_origin(request.endpoint), _name_origin(target), urlsplit(target)
    is_safe = parts.scheme in {"https", urlsplit(request.endpoint).scheme}
    base, matched_path, suffix = parts.path.rpartition(request.path)
    remedy = (
        "the URL of its API; if it is a login page, exempt the API from the login, or run "
        "tower-etl inside that network"
    )
    if is_safe and matched_path and suffix in {"", "/"} and re.fullmatch(r"[\w./~-]{0,80}", base):
        remedy = there + base
    return EndpointError(
        f"GET {request.path}: {here} redirects to {there}. The token is only sent to the host "
        f"of the endpoint. If the platform has moved there, set the endpoint to {remedy}."
    )


def _name_origin(url: str) -> str:
    """Return scheme, host and port of a URL without credentials and control characters."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return re.sub(r"[^!-~]", "?", origin)[:_SHOWN_CHARS]


def _explain_proxy(request: RequestContext, error: exceptions.ProxyError) -> ApiError:
    match = re.search(r"Tunnel connection failed: ([0-9]{3})", repr(error))
    status = int(match[1]) if match else None
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return explain_proxy_login(request)
    name = request.proxy_name
    if status is None:
        return ApiConnectionError(
            f"GET {request.path}: no answer from the proxy {name} for {request.host}. "
            f"Check {request.variable}, or exempt the host with NO_PROXY."
        )
    kind = EndpointError if status < HTTPStatus.INTERNAL_SERVER_ERROR else ApiConnectionError
    return kind(
        f"GET {request.path}: the proxy {name} did not allow the request to {request.host} "
        f"(status {status}). Ask its administrator to allow that host, or exempt the host with "
        "NO_PROXY.",
        status_code=status,
    )


def explain_proxy_login(request: RequestContext) -> EndpointError:
    """Return the error for a proxy that requires authentication (status 407)."""
    name, status = request.proxy_name, int(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
    exempt = f"or exempt {request.host} with NO_PROXY"
    if request.proxy is None:
        problem = f"a proxy before {request.host} requires credentials, and none is configured"
        remedy = f"Set {request.variable} to its URL, for example {_EXAMPLE}proxy.example.org:3128."
    elif urlsplit(request.proxy).username:
        problem = f"the proxy {name} refuses the credentials in {request.variable}"
        remedy = f"Correct them, with characters such as @ and : percent-encoded, {exempt}."
    else:
        problem = f"the proxy {name} requires credentials"
        remedy = f"Add them to {request.variable}, for example {_EXAMPLE}{name}, {exempt}."
    return EndpointError(
        f"GET {request.path}: {problem} (status {status}). {remedy}", status_code=status
    )
