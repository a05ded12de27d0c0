"""Part of a history: the views over some of its runs, for one connection, beside the file's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.views.definitions import create_views, iter_views, price_list_view
from tower_etl.views.local_tables import create_local_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from tower_etl.views.definitions import View

_TASKS = "stg_tasks"
_RUNS = "stg_runs"  # all other staging views but one name a run in `run_id`
# Of no run: a sync visits all, and a bill is shared among all runs before some are looked at.
_UNRESTRICTED = frozenset({"stg_syncs", "stg_bill_lines", "stg_occupied_shares"})
_SHOWN = 10


@dataclass(frozen=True)
class RunFilter:
    """Which runs a question is about; what is left empty restricts nothing.

    Attributes:
        since: First moment of submission.
        until: Moment of submission from which on runs are left out.
        workspaces: Ids, or names ORG/NAME with `*` and `?`, or `personal`.
        pipelines: Names, with `*` and `?`.
        prices: Price list by which every task is priced, whatever it cost; None: as it was.
    """

    since: datetime | None = None
    until: datetime | None = None
    workspaces: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    prices: Path | None = None

    def __bool__(self) -> bool:
        return self != RunFilter()

    @property
    def condition(self) -> str:
        """What must hold of a row of `stg_runs`."""
        parts = [_any(_is_workspace(name) for name in self.workspaces)]
        parts += [_any(_is_pipeline(name) for name in self.pipelines)]
        if self.since:
            parts.append(f"submitted_at >= {_literal(self.since.isoformat())}::TIMESTAMPTZ")
        if self.until:
            parts.append(f"submitted_at < {_literal(self.until.isoformat())}::TIMESTAMPTZ")
        return " AND ".join(part for part in parts if part) or "TRUE"


def apply_filter(connection: duckdb.DuckDBPyConnection, scope: RunFilter) -> None:
    """Lay temporary views over those of the file that know the runs of a scope alone.

    Raises:
        ConfigurationError: No run is of a workspace or pipeline that the scope names, or its price
            list is invalid.
    """
    runs = [view for view in iter_views("staging") if view.name == _RUNS]
    create_local_tables(connection, temporary=True)
    create_views(connection, runs, temporary=True)
    for name in scope.workspaces:
        _check(connection, "workspace", name, _is_workspace(name))
    for name in scope.pipelines:
        _check(connection, "pipeline", name, _is_pipeline(name))
    if scope.prices:
        create_views(connection, _iter_prices(scope.prices), temporary=True)
    create_views(connection, _iter_narrowed(scope), temporary=True)


def _iter_prices(path: Path) -> Iterator[View]:
    yield price_list_view(path)
    yield from (view for view in iter_views("staging") if view.name == "stg_list_prices")


def _iter_narrowed(scope: RunFilter) -> Iterator[View]:
    for view in iter_views():
        if scope.prices and view.name == "price_list":
            continue
        if scope.prices and view.name == _TASKS:
            view = _reprice(view)  # noqa: PLW2901 what follows restricts it
        if view.kind != "staging" or view.name in _UNRESTRICTED or not scope:
            yield view
        elif view.name == _RUNS:
            yield _restrict(view, scope.condition)
        else:
            yield _restrict(view, "run_id IN (SELECT run_id FROM stg_runs)")


def _reprice(view: View) -> View:
    """Return the view of tasks with the costs of the price list."""
    replaced = [
        "CASE WHEN NOT t.cached THEN p.cost END AS cost_usd",
        "CASE WHEN t.cached THEN p.cost END AS saved_usd",
    ]
    if "cost_source" in view.sql:
        replaced += ["'price_list' AS cost_source", "coalesce(p.currency, 'USD') AS currency"]
    return replace(
        view,
        sql=f"SELECT t.* REPLACE ({', '.join(replaced)}) FROM (\n{view.sql}) AS t "  # noqa: S608 ours
        "LEFT JOIN stg_list_prices AS p ON p.run_id = t.run_id AND p.task_id = t.task_id",
    )


def _restrict(view: View, condition: str) -> View:
    return replace(view, sql=f"SELECT * FROM (\n{view.sql}) WHERE {condition}")  # noqa: S608 literals are quoted


def _check(connection: duckdb.DuckDBPyConnection, kind: str, name: str, condition: str) -> None:
    found = connection.execute(
        f"SELECT DISTINCT {kind}, {condition} FROM {_RUNS} ORDER BY 1"  # noqa: S608 literals are quoted
    ).fetchall()
    if not any(matches for _, matches in found):
        known = ", ".join(str(there) for there, _ in found[:_SHOWN]) or "none"
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        msg = f"No run is of a {kind} {name!r}. There are: {known}{more}."
        raise ConfigurationError(msg)


def _is_workspace(name: str) -> str:
    by_name = f"lower(workspace) GLOB {_literal(name.strip().lower())}"
    return f"({by_name} OR CAST(workspace_id AS TEXT) IS NOT DISTINCT FROM {_literal(name)})"


def _is_pipeline(name: str) -> str:
    return f"lower(pipeline) GLOB {_literal(name.strip().lower())}"


def _any(conditions: Iterator[str]) -> str:
    joined = " OR ".join(conditions)
    return joined and f"({joined})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
