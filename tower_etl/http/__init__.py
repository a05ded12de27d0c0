"""Calls over HTTP: sessions, retries, the budget of calls. Knows no Tower.

A call travels one road, `Retry( Budget( HTTP ) )`: every attempt pays for a call.
"""

from tower_etl.http.client import JsonHttpClient, open_http_client
from tower_etl.http.metrics import RequestMetrics, RequestStats
from tower_etl.http.rate_limit.limiter import RateLimiter, RateLimiterClosedError
from tower_etl.http.retry import RetryPolicy

__all__ = [
    "JsonHttpClient",
    "RateLimiter",
    "RateLimiterClosedError",
    "RequestMetrics",
    "RequestStats",
    "RetryPolicy",
    "open_http_client",
]
