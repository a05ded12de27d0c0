"""The platform's endpoints as methods, and the page walk."""

from tower_etl.api.client import EntityList, PathScope, TowerClient, format_timestamp
from tower_etl.api.findings import Finding, Findings
from tower_etl.api.growing import TotalCheck, paginate_append_only
from tower_etl.api.items import MissingKey, malformed_runs_response, run_key, split_keyed, task_key
from tower_etl.api.pages import Item, Page, PaginationStats, paginate_descending

__all__ = [
    "EntityList",
    "Finding",
    "Findings",
    "Item",
    "MissingKey",
    "Page",
    "PaginationStats",
    "PathScope",
    "TotalCheck",
    "TowerClient",
    "format_timestamp",
    "malformed_runs_response",
    "paginate_append_only",
    "paginate_descending",
    "run_key",
    "split_keyed",
    "task_key",
]
