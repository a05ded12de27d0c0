"""GET a JSON object: retried, paid for, and sent, in that order from outside in."""

from __future__ import annotations

import logging
import random
import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import ApiError, RateLimitError
from tower_etl.http.connection_errors import Connection, explain_failure, explain_proxy_login
from tower_etl.http.deadline import DeadlineExceededError
from tower_etl.http.metrics import RequestMetrics
from tower_etl.http.origin import origin_of
from tower_etl.http.rate_limit.limiter import open_rate_limiter
from tower_etl.http.responses import parse_object
from tower_etl.http.retry import RetryPolicy
from tower_etl.http.session import (
    BearerAuth,
    OriginBoundSession,
    RateLimitedAdapter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tower_etl.clock import Clock
    from tower_etl.config.settings import Settings
    from tower_etl.http.rate_limit.limiter import RateLimiter

_logger = logging.getLogger(__name__)
_PERSON = re.compile(r"(?<=^/user/)[^/]+")
_MAX_REDIRECTS = 5


@dataclass(frozen=True)
class JsonHttpClient:
    """Asks one endpoint for JSON objects, from any number of threads.

    Attributes:
        endpoint: Base address, without a trailing slash.
        session: Sends, on an adapter that waits for the budget.
        limiter: Held back by a 429, closed when the sync stops.
        metrics: What was spent so far.
        policy: Which failures are worth another try, and when.
        timeouts: Seconds to connect, and between two bytes of an answer.
        secret: Blotted out where a server sends it back.
        chance: Random numbers in [0, 1), for the jitter of the back-off.
    """

    endpoint: str
    session: requests.Session
    rate_limiter: RateLimiter
    metrics: RequestMetrics
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: tuple[float, float] = (10.0, 60.0)
    secret: bytes = field(default=b"", repr=False)
    jitter: Callable[[], float] = random.random

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        policy: RetryPolicy | None = None,
    ) -> dict[str, Any]:
        """The JSON object at `path`.

        Args:
            path: Below the endpoint, such as `/workflow`.
            params: Query parameters.
            policy: Patience for this call, instead of the transport's own.

        Raises:
            ApiError: The call failed for good, after the retries that the policy allows.
        """
        failures = 0
        while True:
            try:
                return self._get_once(path, params or {}, failures + 1)
            except ApiError as error:
                failures += 1
                wait = (policy or self.policy).next_delay_seconds(failures, error, self.jitter())
                if wait is None:
                    raise
                _logger.info("Retry %d of GET %s in %.1f s: %s", failures, path, wait, error)
                self._wait(wait, error)

    def with_policy(self, policy: RetryPolicy) -> JsonHttpClient:
        """Return a transport that shares everything with this one but the retry policy."""
        return replace(self, policy=policy)

    def close(self) -> None:
        """Stop: waiting calls end with `RateLimiterClosed`, connections are closed."""
        self.rate_limiter.close()
        self.session.close()

    def _get_once(self, path: str, params: Mapping[str, str | int], attempt: int) -> dict[str, Any]:
        failure: ApiError
        try:
            answer = self.session.get(
                self.endpoint + path, params=dict(params), timeout=self.timeouts
            )
        except (requests.RequestException, DeadlineExceededError, ValueError) as error:
            way = Connection(
                path, self.endpoint, self.session.proxies
            )  # ValueError: a senseless URL
            failure = explain_failure(way, error)
            self._log(path, attempt, f"failed ({type(failure).__name__})")
        else:
            milliseconds = 1000 * answer.elapsed.total_seconds()
            self._log(path, attempt, f"{answer.status_code} in {milliseconds:.0f} ms")
            return self._parse(answer, path)
        raise failure  # not from within: what hangs on the cause has the token in its frames

    def _log(self, path: str, attempt: int, outcome: str) -> None:
        """Write one line per request; a path names people only below `/user/`."""
        _logger.debug(
            "GET %s: %s (attempt %d, %.3f s of it waiting for the rate limiter)",
            _PERSON.sub("{id}", path),
            outcome,
            attempt,
            self.rate_limiter.last_wait_seconds,
        )

    def _parse(self, answer: requests.Response, path: str) -> dict[str, Any]:
        if answer.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise explain_proxy_login(Connection(path, self.endpoint, self.session.proxies))
        body = answer.content
        if not answer.ok and self.secret:  # what a refusal says goes into a message
            body = body.replace(self.secret, b"***")
        return parse_object(
            answer.status_code, answer.headers, body, f"GET {path}", self.metrics.record_repair
        )

    def _wait(self, seconds: float, error: ApiError) -> None:
        """A 429 is a matter for every thread; any other failure for this one alone."""
        self.metrics.record_retry()
        if isinstance(error, RateLimitError):
            self.rate_limiter.pause(seconds)
        else:
            self.rate_limiter.sleep(seconds)


def open_session(settings: Settings, limiter: RateLimiter, user_agent: str) -> requests.Session:
    """A session bound to the endpoint of the settings, on which every call pays to the budget."""
    session = OriginBoundSession()
    session.auth = BearerAuth(settings.token.get_secret_value(), origin_of(settings.endpoint))
    session.max_redirects = _MAX_REDIRECTS
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(
        {
            "Accept": "application/json",
            "Accept-Version": settings.api_version,
            "User-Agent": user_agent,
        }
    )
    http_settings = settings.http
    adapter = RateLimitedAdapter(
        limiter, http_settings.workers, http_settings.call_seconds, ca_bundle=settings.ca_bundle
    )
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    _freeze_environment(session, settings.endpoint)
    return session


def _freeze_environment(session: requests.Session, endpoint: str) -> None:
    """Look for proxies and certificates in the environment once, not at every call."""
    found = session.merge_environment_settings(endpoint, {}, None, None, None)
    session.proxies.update(found["proxies"])
    session.verify = found["verify"]
    session.trust_env = False


def open_http_client(
    settings: Settings,
    user_agent: str,
    clock: Clock = SYSTEM_CLOCK,
    metrics: RequestMetrics | None = None,
) -> JsonHttpClient:
    """A transport by the settings, that counts on the meter given."""
    http_settings = settings.http
    metrics = metrics or RequestMetrics()
    limiter = open_rate_limiter(settings, clock, metrics)
    return JsonHttpClient(
        endpoint=settings.endpoint,
        session=open_session(settings, limiter, user_agent),
        rate_limiter=limiter,
        metrics=metrics,
        policy=RetryPolicy(
            attempts=http_settings.attempts, connection_attempts=http_settings.attempts
        ),
        timeouts=(http_settings.connect_seconds, http_settings.read_seconds),
        secret=settings.token.get_secret_value().encode(),
    )
