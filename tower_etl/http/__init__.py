"""Calls over HTTP: sessions, retries, the budget of calls. Knows no Tower.

A call travels one road, `Retry( Budget( HTTP ) )`: every attempt pays for a call.
"""

from tower_etl.http.budget import RateLimiter, RateLimiterClosedError
from tower_etl.http.meter import RequestMetrics, RequestStats
from tower_etl.http.retry import RetryPolicy
from tower_etl.http.transport import JsonHttpClient, open_http_client

__all__ = [
    "JsonHttpClient",
    "RateLimiter",
    "RateLimiterClosedError",
    "RequestMetrics",
    "RequestStats",
    "RetryPolicy",
    "open_http_client",
]
