"""HTTP client for the JSON objects of the platform's API, with retries, rate limit and deadlines.

Each request passes the layers `Retry( RateLimit( HTTP ) )`: every attempt counts towards the rate
limit.
"""

from tower_etl.http.client import JsonHttpClient, RetryPolicy, open_http_client
from tower_etl.http.metrics import RequestMetrics, RequestStats
from tower_etl.http.rate_limit.limiter import RateLimiter

__all__ = [
    "JsonHttpClient",
    "RateLimiter",
    "RequestMetrics",
    "RequestStats",
    "RetryPolicy",
    "open_http_client",
]
