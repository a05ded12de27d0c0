"""Client of the Seqera Platform API, with pagination and negotiation of what a server supports."""

from tower_etl.api.client import (
    EntityList,
    PathScope,
    TowerClient,
    format_timestamp,
)
from tower_etl.api.pagination import (
    Item,
    Page,
    PaginationStats,
    TotalCheck,
    paginate_append_only,
    paginate_descending,
)
from tower_etl.api.records import (
    NULL_KEY,
    Finding,
    Findings,
    MissingKey,
    count_keyed,
    malformed_runs_response,
    run_key,
    split_keyed,
    task_key,
)

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
    "count_keyed",
    "format_timestamp",
    "malformed_runs_response",
    "paginate_append_only",
    "paginate_descending",
    "run_key",
    "split_keyed",
    "task_key",
]
