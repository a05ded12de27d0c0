"""From a call without an answer to the error that it stands for: the cause, and what to do next.

No message has more of an address than its origin and the base path of an API: a user, a password
or a query may be secret.
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
_CAUSES: tuple[tuple[type[Exception], str, str], ...] = (
    (
        exceptions.SSLError,
        "the TLS certificate or handshake was not accepted",
        "Check the endpoint; for a certificate of a private authority, give --ca-bundle FILE.",
    ),
    (exceptions.ConnectTimeout, "connecting took too long", _CHECK),
    (DeadlineExceededError, "its answer came too slowly, or had no end", _CHECK),
    (exceptions.ReadTimeout, "it took too long to answer", _CHECK),
    (exceptions.ChunkedEncodingError, "the answer broke off", _CHECK),
    (exceptions.ContentDecodingError, "the answer could not be decompressed", _CHECK),
    (
        exceptions.InvalidProxyURL,
        "the address of the proxy is not valid",
        "Set HTTPS_PROXY to an address like http://proxy.example.org:3128.",
    ),
    (ValueError, "an address is not valid", _CHECK),
)


@dataclass(frozen=True)
class Connection:
    """A call, and how it goes to the server.

    Attributes:
        path: Below the endpoint, such as `/workflow`.
        endpoint: Base address, without a trailing slash.
        proxies: Addresses of proxies by scheme; empty where the endpoint needs none.
    """

    path: str
    endpoint: str
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def call(self) -> str:
        """The call as messages name it."""
        return f"GET {self.path}"

    @property
    def host(self) -> str:
        """Host and port of the endpoint."""
        return urlsplit(self.endpoint).netloc

    @property
    def proxy(self) -> str | None:
        """The proxy that the call goes through, None without one."""
        return select_proxy(self.endpoint, dict(self.proxies))

    @property
    def variable(self) -> str:
        """The environment variable that names the proxy."""
        return f"{urlsplit(self.endpoint).scheme.upper()}_PROXY"


def explain_failure(way: Connection, error: Exception) -> ApiError:
    """Return the error for an exception that a call ended with."""
    if isinstance(error, ForeignRedirectError):
        return _explain_redirect(way, error.target)
    if isinstance(error, exceptions.TooManyRedirects):
        msg = (
            f"{way.call}: {way.host} answers with one redirect after another: it redirects in "
            "circles. Check the endpoint, and the proxy or login page before it."
        )
        return EndpointError(msg)
    if isinstance(error, BodyTooLargeError):
        msg = (
            f"{way.call}: the answer has more bytes than any of the platform's. Something else may "
            "stand in between: check the endpoint."
        )
        return ResponseTooLargeError(msg)
    if isinstance(error, exceptions.ProxyError):
        return _explain_proxy(way, error)
    cause, remedy = _find_cause(error)
    return ApiConnectionError(f"{way.call}: no answer from {way.host} ({cause}). {remedy}")


def _find_cause(error: Exception) -> tuple[str, str]:
    """Return why there was no answer, and what to do next."""
    if isinstance(error, exceptions.InvalidSchema) and "SOCKS" in str(error):
        return "the proxy is a SOCKS one", "Install the support for it: pip install pysocks."
    for kind, cause, remedy in _CAUSES:
        if isinstance(error, kind):
            return cause, remedy
    if isinstance(error, exceptions.ConnectionError):
        return _find_connection_cause(error), _CHECK
    return type(error).__name__, _CHECK


def _find_connection_cause(error: Exception) -> str:
    text = repr(error)
    if "NameResolution" in text or "getaddrinfo" in text:
        return "the name does not resolve"
    if "refused" in text:
        return "nothing listens there"
    return "the connection broke off"


def _explain_redirect(way: Connection, target: str) -> EndpointError:
    """Name both origins, and the endpoint to use where the redirect says it."""
    here, there = _name_origin(way.endpoint), _name_origin(target)
    return EndpointError(
        f"{way.call}: {here} redirects to {there}. The token is not sent to another address than "
        f"that of the endpoint. {_advise(way, target)}"
    )


def _advise(way: Connection, target: str) -> str:
    parts = urlsplit(target)
    is_safe = parts.scheme in {"https", urlsplit(way.endpoint).scheme}
    base, found, rest = parts.path.rpartition(way.path)
    if is_safe and found and rest in {"", "/"} and re.fullmatch(r"[\w./~-]{0,80}", base):
        endpoint = _name_origin(target) + base
        return f"If the platform has moved there, set the endpoint to {endpoint}."
    return (
        "If the platform has moved there, set the endpoint to the address of its API; if it is a "
        "login page, exempt the API from it, or call from inside its network."
    )


def _name_origin(url: str) -> str:
    """Return scheme, host and port, as far as a message may show them."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return re.sub(r"[^!-~]", "?", origin)[:_SHOWN_CHARS]


def _explain_proxy(way: Connection, error: exceptions.ProxyError) -> ApiError:
    found = re.search(r"Tunnel connection failed: ([0-9]{3})", repr(error))
    status = int(found[1]) if found else None
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return explain_proxy_login(way)
    name = _name_proxy(way)
    if status is None:
        return ApiConnectionError(
            f"{way.call}: no answer from the proxy {name}, which leads to {way.host}. Check "
            f"{way.variable}, or exempt the host with NO_PROXY."
        )
    kind = EndpointError if status < HTTPStatus.INTERNAL_SERVER_ERROR else ApiConnectionError
    return kind(
        f"{way.call}: the proxy {name} did not let it through to {way.host} (status {status}). "
        "Ask its administrator to allow that host, or exempt the host with NO_PROXY.",
        status_code=status,
    )


def explain_proxy_login(way: Connection) -> EndpointError:
    """Return the error for a proxy that wants to know who calls (status 407)."""
    name, status = _name_proxy(way), int(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
    exempt = f"or exempt {way.host} with NO_PROXY"
    if way.proxy is None:
        problem = f"a proxy on the way to {way.host} requires credentials, and none is configured"
        remedy = f"Set {way.variable} to its address, as in {_EXAMPLE}proxy.example.org:3128."
    elif urlsplit(way.proxy).username:
        problem = f"the proxy {name} refuses the credentials that {way.variable} has"
        remedy = f"Correct them, with characters such as @ and : percent-encoded, {exempt}."
    else:
        problem = f"the proxy {name} requires credentials"
        remedy = f"Add them to {way.variable}, as in {_EXAMPLE}{name}, {exempt}."
    return EndpointError(f"{way.call}: {problem} (status {status}). {remedy}", status_code=status)


def _name_proxy(way: Connection) -> str:
    return urlsplit(way.proxy or "").netloc.rpartition("@")[2]
