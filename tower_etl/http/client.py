"""HTTP client that gets JSON objects from one endpoint, with retries and a rate limit."""

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
from tower_etl.config.settings import MAX_WORKERS
from tower_etl.errors import ApiError, RateLimitError, ServerError
from tower_etl.http.connection_errors import RequestContext, explain_failure, explain_proxy_login
from tower_etl.http.deadline import DeadlineExceededError
from tower_etl.http.metrics import RequestMetrics
from tower_etl.http.rate_limit.limiter import RateLimiter
from tower_etl.http.rate_limit.policy import RateLimit
from tower_etl.http.rate_limit.stores import open_store
from tower_etl.http.responses import parse_object
from tower_etl.http.session import BearerAuth, OriginBoundSession, RateLimitedAdapter, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tower_etl.clock import Clock
    from tower_etl.config.settings import Settings

_logger = logging.getLogger(__name__)
_PERSON = re.compile(r"(?<=^/user/)[^/]+")
_MAX_REDIRECTS = 5


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with a jitter between half of the delay and the full delay.

    Attributes:
        attempts: Maximum number of attempts of a request, including the first.
        server_error_attempts: Maximum number of attempts after a `ServerError`; None for
            `attempts`.
        base_delay_seconds: Delay after the first failure, doubled with each further failure.
        max_delay_seconds: Maximum delay between two attempts, also for a longer `Retry-After`.
    """

    attempts: int = 6
    server_error_attempts: int | None = None
    base_delay_seconds: float = 0.5
    max_delay_seconds: float = 60.0

    def next_delay_seconds(self, failures: int, error: ApiError, jitter: float) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        `jitter` is a random number in [0, 1), so that many clients do not retry at the same time.
        """
        limit = self.attempts
        if isinstance(error, ServerError) and self.server_error_attempts is not None:
            limit = self.server_error_attempts
        if not error.retryable or failures >= limit:
            return None
        backoff = self.base_delay_seconds * 2.0 ** (failures - 1) * (0.5 + jitter / 2)
        # API fact 10: the platform sends `Retry-After: 0` with some 429 responses.
        required = 1.0 if isinstance(error, RateLimitError) else 0.0
        return min(max(backoff, required, error.retry_after or 0.0), self.max_delay_seconds)


@dataclass(frozen=True)
class JsonHttpClient:
    """Thread-safe client for the JSON objects of one endpoint.

    Attributes:
        endpoint: Base URL, without a trailing slash.
        session: Session whose adapter waits for the rate limiter.
        rate_limiter: Limiter to pause after a 429, and to close when the sync stops.
        metrics: Counters of the requests sent so far.
        policy: Decides which failures are retried, and after which delay.
        timeouts: Time-outs in seconds: to connect, and between two bytes of a response.
        secret: Token to mask where a server quotes it in an error.
        jitter: Returns random numbers in [0, 1) for the jitter of the back-off.
    """

    endpoint: str
    session: requests.Session
    rate_limiter: RateLimiter
    metrics: RequestMetrics
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: tuple[float, float] = (10.0, 60.0)
    secret: bytes = field(default=b"", repr=False)
    jitter: Callable[[], float] = random.random

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """Return the JSON object at a path below the endpoint, such as `/workflow`.

        Raises:
            ApiError: The request failed, after the retries that the policy allows.
        """
        failures = 0
        while True:
            try:
                return self._get_once(path, params or {}, failures + 1)
            except ApiError as error:
                failures += 1
                delay = self.policy.next_delay_seconds(failures, error, self.jitter())
                if delay is None:
                    raise
                reason = type(error).__name__  # its text may name a person
                _logger.info(
                    "Retry %d of GET %s in %.1f s: %s", failures, _mask(path), delay, reason
                )
                self._wait(delay, error)

    def with_policy(self, policy: RetryPolicy) -> JsonHttpClient:
        """Return a client that shares everything with this one except the retry policy."""
        return replace(self, policy=policy)

    def close(self) -> None:
        """Abort waiting requests with `SyncStoppedError`, and close the connections."""
        self.rate_limiter.close()
        self.session.close()

    def _get_once(self, path: str, params: Mapping[str, str | int], attempt: int) -> dict[str, Any]:
        failure: ApiError
        try:
            url = self.endpoint + path
            response = self.session.get(url, params=dict(params), timeout=self.timeouts)
        # urllib raises ValueError for some malformed URLs of redirects and proxies.
        except (requests.RequestException, DeadlineExceededError, ValueError) as error:
            failure = explain_failure(self._describe_request(path), error)
            self._log(path, attempt, f"failed ({type(failure).__name__})")
        else:
            seconds = response.elapsed.total_seconds()
            self.metrics.record_response_time(seconds - self.rate_limiter.last_wait_seconds)
            self._log(path, attempt, f"{response.status_code} in {1000 * seconds:.0f} ms")
            return self._parse(response, path)
        # Raised outside of `except`: the traceback of a chained cause has the token in its frames.
        raise failure

    def _describe_request(self, path: str) -> RequestContext:
        return RequestContext(path, self.endpoint, self.session.proxies)

    def _log(self, path: str, attempt: int, outcome: str) -> None:
        _logger.debug(
            "GET %s: %s (attempt %d, %.3f s of it waiting for the rate limiter)",
            _mask(path),
            outcome,
            attempt,
            self.rate_limiter.last_wait_seconds,
        )

    def _parse(self, response: requests.Response, path: str) -> dict[str, Any]:
        if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise explain_proxy_login(self._describe_request(path))
        body = response.content
        # Messages quote the body of an error, and a server may echo request headers in it.
        if not response.ok and self.secret:
            body = body.replace(self.secret, b"***")
        return parse_object(
            response.status_code, response.headers, body, f"GET {path}", self.metrics.record_repair
        )

    def _wait(self, seconds: float, error: ApiError) -> None:
        """Pause all threads after a 429, and this thread alone after any other failure."""
        self.metrics.record_retry()
        if isinstance(error, RateLimitError):
            self.rate_limiter.pause(seconds)
        else:
            self.rate_limiter.sleep(seconds)


def _mask(path: str) -> str:
    """Return a path for the log; only paths below `/user/` identify a person."""
    return _PERSON.sub("{id}", path)


def _make_session(settings: Settings, limiter: RateLimiter, user_agent: str) -> requests.Session:
    """Return a session that is bound to the configured endpoint and waits for the rate limiter."""
    session = OriginBoundSession()
    session.auth = BearerAuth(settings.token.get_secret_value(), origin_of(settings.endpoint))
    session.max_redirects = _MAX_REDIRECTS
    # No cookies: the token alone authenticates, and threads share the session.
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
        limiter,
        http_settings.workers or MAX_WORKERS,
        http_settings.call_seconds,
        ca_bundle=settings.ca_bundle,
    )
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    _freeze_environment(session, settings.endpoint)
    return session


def _freeze_environment(session: requests.Session, endpoint: str) -> None:
    """Read proxies and certificates from the environment once.

    requests otherwise reads them for each request, and after a redirect credentials of `~/.netrc`.
    """
    environment = session.merge_environment_settings(endpoint, {}, None, None, None)
    session.proxies.update(environment["proxies"])
    session.verify = environment["verify"]
    session.trust_env = False


def open_rate_limiter(settings: Settings, clock: Clock, metrics: RequestMetrics) -> RateLimiter:
    """Return the configured rate limiter, shared by all syncs with the same token and server."""
    http_settings = settings.http
    name = settings.token.fingerprint(*origin_of(settings.endpoint))
    rate = http_settings.calls_per_second
    limit = None if rate is None else RateLimit.of(rate * http_settings.rate_limit_share)
    return RateLimiter(
        limit, clock, metrics, open_store(http_settings.rate_limit_store, name, clock)
    )


def open_http_client(
    settings: Settings,
    user_agent: str,
    clock: Clock = SYSTEM_CLOCK,
    metrics: RequestMetrics | None = None,
) -> JsonHttpClient:
    """Return a client with the given settings that records its requests in the given metrics."""
    http_settings = settings.http
    metrics = metrics or RequestMetrics()
    limiter = open_rate_limiter(settings, clock, metrics)
    return JsonHttpClient(
        endpoint=settings.endpoint,
        session=_make_session(settings, limiter, user_agent),
        rate_limiter=limiter,
        metrics=metrics,
        policy=RetryPolicy(http_settings.attempts),
        timeouts=(http_settings.connect_seconds, http_settings.read_seconds),
        secret=settings.token.get_secret_value().encode(),
    )
