"""Calls over HTTP: sessions, retries, the budget of calls. Knows no Tower.

A call travels one road, `Retry( Budget( HTTP ) )`: every attempt pays for a call.
"""

from tower_etl.http.budget import Budget, BudgetClosedError
from tower_etl.http.meter import Meter, Spent
from tower_etl.http.retry import RetryPolicy
from tower_etl.http.transport import Transport, open_transport

__all__ = [
    "Budget",
    "BudgetClosedError",
    "Meter",
    "RetryPolicy",
    "Spent",
    "Transport",
    "open_transport",
]
