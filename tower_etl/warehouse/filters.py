"""Filter of runs, applied to all views of a connection by temporary views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.schema import STORED_TABLES
from tower_etl.text import enumerate_names, quote_text, suggest
from tower_etl.views.definitions import (
    PRICE_LIST,
    create_local_tables,
    create_views,
    iter_views,
    price_list_view,
    select_views,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from tower_etl.views.definitions import View

_RUNS = "stg_runs"  # all other staging views except `stg_syncs` have a column `run_id`
_TASKS = "stg_tasks"
# Not filtered: a sync covers all runs, and the cost of a bill line is shared among all its runs.
# The views that read one of these views are filtered instead.
_UNFILTERED = frozenset({"stg_syncs", "stg_bill_lines", "stg_occupied_shares", "stg_task_records"})
_SHOWN = 10  # names in a message
# Columns of `stg_tasks` that change if its costs come from another view, `p`.
_LISTED = (
    "CASE WHEN NOT t.cached THEN p.cost END AS cost_usd, "
    "CASE WHEN t.cached THEN p.cost END AS saved_usd, "
    "'price_list' AS cost_source, coalesce(p.currency, 'USD') AS currency"
)
_BILLED = (
    "CASE WHEN NOT t.cached THEN coalesce(p.cost_usd, t.cost_usd) END AS cost_usd, "
    "CASE WHEN p.task_id IS NULL THEN t.cost_source ELSE 'bill' END AS cost_source, "
    "CASE WHEN p.task_id IS NULL THEN t.currency ELSE 'USD' END AS currency"
)


@dataclass(frozen=True)
class RunFilter:
    """Filter of runs; an empty attribute does not restrict them.

    Attributes:
        since: Earliest submission.
        until: Submission before which runs are included.
        workspaces: Ids, or names ORG/NAME with `*` and `?`, or `personal`.
        pipelines: Names, with `*` and `?`.
        users: Names, with `*` and `?`.
        statuses: Statuses of runs.
        prices: Price list that replaces the cost of every task; None to keep the costs.
        billed: Whether the bill replaces the cost of the tasks in runs that it has lines of.
    """

    since: datetime | None = None
    until: datetime | None = None
    workspaces: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    prices: Path | None = None
    billed: bool = False

    def __bool__(self) -> bool:
        return self != RunFilter()

    @property
    def condition(self) -> str:
        """SQL condition on the columns of `stg_runs`."""
        parts = [_any(named.values()) for named in self.named_conditions.values()]
        if self.since:
            parts.append(f"submitted_at >= {quote_text(self.since.isoformat())}::TIMESTAMPTZ")
        if self.until:
            parts.append(f"submitted_at < {quote_text(self.until.isoformat())}::TIMESTAMPTZ")
        return " AND ".join(part for part in parts if part) or "TRUE"

    @property
    def named_conditions(self) -> dict[str, dict[str, str]]:
        """SQL conditions by column of `stg_runs` and by name."""
        return {
            "workspace": {name: _is_workspace(name) for name in self.workspaces},
            "pipeline": {name: _matches("pipeline", name) for name in self.pipelines},
            "user_name": {name: _matches("user_name", name) for name in self.users},
            "status": {name: _matches("status", name) for name in self.statuses},
        }


def apply_filter(
    connection: duckdb.DuckDBPyConnection, scope: RunFilter, names: Sequence[str] = ()
) -> None:
    """Create temporary views that shadow those of the file and contain only the filtered runs.

    Args:
        connection: Connection that will be queried.
        scope: Filter of runs.
        names: Views that will be queried; all by default, which costs a query more than its rows.

    Raises:
        ConfigurationError: A name of the filter matches no run, or the price list is invalid.
    """
    runs = [view for view in iter_views("staging") if view.name == _RUNS]
    create_local_tables(connection, temporary=True)
    create_views(connection, runs, temporary=True)
    for column, named in scope.named_conditions.items():
        for name, condition in named.items():
            _check_name(connection, column, name, condition)
    filtered = list(_iter_filtered(scope))
    wanted = select_views(filtered, names or [view.name for view in filtered])
    create_views(connection, wanted, temporary=True)


def _iter_filtered(scope: RunFilter) -> Iterator[View]:
    for view in (_reprice(view, scope) for view in iter_views()):
        if not scope or not _is_filtered(view):
            yield view
        elif view.name == _RUNS:
            yield _restrict(view, scope.condition)
        else:
            yield _restrict(view, "run_id IN (SELECT run_id FROM stg_runs)")


def _is_filtered(view: View) -> bool:
    """Return whether the view reads rows of all runs; views over filtered views need no filter."""
    reads_all = view.sources & (STORED_TABLES.keys() | _UNFILTERED)
    return view.kind == "staging" and view.name not in _UNFILTERED and bool(reads_all)


def _reprice(view: View, scope: RunFilter) -> View:
    """Return the view with the costs of the price list or of the bill, if the filter has one."""
    if scope.prices is not None and view.name == PRICE_LIST:
        return price_list_view(scope.prices)
    if view.name != _TASKS:
        return view
    if scope.prices is not None:
        columns, costs = _LISTED, "stg_list_prices"
    elif scope.billed:
        columns, costs = _BILLED, "stg_task_bills"
    else:
        return view
    return replace(
        view,
        sql=f"SELECT t.* REPLACE ({columns}) FROM (\n{view.sql}) AS t "  # noqa: S608 constants
        f"LEFT JOIN {costs} AS p ON p.run_id = t.run_id AND p.task_id = t.task_id",
    )


def _restrict(view: View, condition: str) -> View:
    return replace(view, sql=f"SELECT * FROM (\n{view.sql}) WHERE {condition}")  # noqa: S608 literals are quoted


def _check_name(
    connection: duckdb.DuckDBPyConnection, column: str, wanted: str, condition: str
) -> None:
    matches_by_name = connection.execute(
        f"SELECT DISTINCT {column}, {condition} FROM {_RUNS} ORDER BY 1"  # noqa: S608 literals are quoted
    ).fetchall()
    if not any(matches for _, matches in matches_by_name):
        kind = column.removesuffix("_name")
        names = [str(name) for name, _ in matches_by_name]
        hint = suggest(wanted, names)
        expected = enumerate_names(names, _SHOWN)
        msg = f"No run has the {kind} {wanted!r}.{hint} Expected one of {expected}."
        raise ConfigurationError(msg)


def _is_workspace(name: str) -> str:
    by_name = _matches("workspace", name)
    return f"({by_name} OR CAST(workspace_id AS TEXT) IS NOT DISTINCT FROM {quote_text(name)})"


def _matches(column: str, name: str) -> str:
    return f"lower({column}) GLOB {quote_text(name.strip().lower())}"


def _any(conditions: Iterable[str]) -> str:
    joined = " OR ".join(conditions)
    return joined and f"({joined})"
