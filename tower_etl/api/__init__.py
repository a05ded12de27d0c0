"""The platform's endpoints as methods, and the page walk."""

from tower_etl.api.client import Found, TowerClient, Where, format_moment
from tower_etl.api.findings import Finding, Findings
from tower_etl.api.growing import Tally, walk_growing
from tower_etl.api.items import NoKey, malformed_runs, run_key, split_keyed, task_key
from tower_etl.api.pages import Item, Page, Walked, walk_newest_first

__all__ = [
    "Finding",
    "Findings",
    "Found",
    "Item",
    "NoKey",
    "Page",
    "Tally",
    "TowerClient",
    "Walked",
    "Where",
    "format_moment",
    "malformed_runs",
    "run_key",
    "split_keyed",
    "task_key",
    "walk_growing",
    "walk_newest_first",
]
