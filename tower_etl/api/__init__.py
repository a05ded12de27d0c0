"""Client of the Seqera Platform API, with pagination and negotiation of what a server supports."""

from tower_etl.api.client import TowerClient, format_timestamp
from tower_etl.api.endpoints import PathScope
from tower_etl.api.pagination import EntityList, Page, PaginationStats, paginate_descending
from tower_etl.api.records import (
    NULL_KEY,
    Finding,
    Findings,
    Item,
    MissingKey,
    malformed_response,
    run_key,
    split_keyed,
    task_key,
)
from tower_etl.api.task_pages import TotalCheck, paginate_append_only

__all__ = [
    "NULL_KEY",
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
    "malformed_response",
    "paginate_append_only",
    "paginate_descending",
    "run_key",
    "split_keyed",
    "task_key",
]
