"""GET a JSON object: retried, paid for, and sent, in that order from outside in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import ApiError, RateLimitError
from tower_etl.http.adapter import BearerAuth, BoundSession, BudgetedAdapter, origin_of
from tower_etl.http.answers import parse_object
from tower_etl.http.bodies import LongCallError
from tower_etl.http.budget import open_budget
from tower_etl.http.meter import Meter
from tower_etl.http.reasons import Way, explain_failure, explain_proxy_login
from tower_etl.http.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tower_etl.clock import Clock
    from tower_etl.http.budget import Budget
    from tower_etl.settings import Settings

_MAX_REDIRECTS = 5


@dataclass(frozen=True)
class Transport:
    """Asks one endpoint for JSON objects, from any number of threads.

    Attributes:
        endpoint: Base address, without a trailing slash.
        session: Sends, on an adapter that waits for the budget.
        budget: Held back by a 429, closed when the sync stops.
        meter: What was spent so far.
        policy: Which failures are worth another try, and when.
        timeouts: Seconds to connect, and between two bytes of an answer.
        secret: Blotted out where a server sends it back.
        chance: Random numbers in [0, 1), for the jitter of the back-off.
    """

    endpoint: str
    session: requests.Session
    budget: Budget
    meter: Meter
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: tuple[float, float] = (10.0, 60.0)
    secret: bytes = field(default=b"", repr=False)
    chance: Callable[[], float] = random.random

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
                return self._get_once(path, params or {})
            except ApiError as error:
                failures += 1
                wait = (policy or self.policy).wait_seconds(failures, error, self.chance())
                if wait is None:
                    raise
                self._wait(wait, error)

    def with_policy(self, policy: RetryPolicy) -> Transport:
        """Return a transport that shares everything with this one but the retry policy."""
        return replace(self, policy=policy)

    def close(self) -> None:
        """Stop: waiting calls end with `BudgetClosedError`, connections are closed."""
        self.budget.close()
        self.session.close()

    def _get_once(self, path: str, params: Mapping[str, str | int]) -> dict[str, Any]:
        failure: ApiError
        try:
            answer = self.session.get(
                self.endpoint + path, params=dict(params), timeout=self.timeouts
            )
        except (requests.RequestException, LongCallError, ValueError) as error:
            way = Way(path, self.endpoint, self.session.proxies)  # ValueError: a senseless URL
            failure = explain_failure(way, error)
        else:
            return self._parse(answer, path)
        raise failure  # not from within: what hangs on the cause has the token in its frames

    def _parse(self, answer: requests.Response, path: str) -> dict[str, Any]:
        if answer.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise explain_proxy_login(Way(path, self.endpoint, self.session.proxies))
        body = answer.content
        if not answer.ok and self.secret:  # what a refusal says goes into a message
            body = body.replace(self.secret, b"***")
        return parse_object(
            answer.status_code, answer.headers, body, f"GET {path}", self.meter.count_repair
        )

    def _wait(self, seconds: float, error: ApiError) -> None:
        """A 429 is a matter for every thread; any other failure for this one alone."""
        self.meter.count_retry()
        if isinstance(error, RateLimitError):
            self.budget.hold_back(seconds)
        else:
            self.budget.nap(seconds)


def open_session(settings: Settings, budget: Budget, user_agent: str) -> requests.Session:
    """A session bound to the endpoint of the settings, on which every call pays to the budget."""
    session = BoundSession()
    session.auth = BearerAuth(settings.token.reveal(), origin_of(settings.endpoint))
    session.max_redirects = _MAX_REDIRECTS
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(
        {
            "Accept": "application/json",
            "Accept-Version": settings.api_version,
            "User-Agent": user_agent,
        }
    )
    pacing = settings.pacing
    adapter = BudgetedAdapter(
        budget, pacing.workers, pacing.call_seconds, ca_bundle=settings.ca_bundle
    )
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    _settle_environment(session, settings.endpoint)
    return session


def _settle_environment(session: requests.Session, endpoint: str) -> None:
    """Look for proxies and certificates in the environment once, not at every call."""
    found = session.merge_environment_settings(endpoint, {}, None, None, None)
    session.proxies.update(found["proxies"])
    session.verify = found["verify"]
    session.trust_env = False


def open_transport(
    settings: Settings,
    user_agent: str,
    clock: Clock = SYSTEM_CLOCK,
    meter: Meter | None = None,
) -> Transport:
    """A transport by the settings, that counts on the meter given."""
    pacing = settings.pacing
    meter = meter or Meter()
    budget = open_budget(settings, clock, meter)
    return Transport(
        endpoint=settings.endpoint,
        session=open_session(settings, budget, user_agent),
        budget=budget,
        meter=meter,
        policy=RetryPolicy(attempts=pacing.attempts, unreachable_attempts=pacing.attempts),
        timeouts=(pacing.connect_seconds, pacing.read_seconds),
        secret=settings.token.reveal().encode(),
    )
