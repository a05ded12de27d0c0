"""Filter of runs, applied to all views of a connection by temporary views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.views.definitions import create_views, iter_views

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import duckdb

    from tower_etl.views.definitions import View

_RUNS = "stg_runs"  # all other staging views except `stg_syncs` have a column `run_id`
_SYNCS = "stg_syncs"  # not filtered, because a sync covers all runs
_SHOWN = 10


@dataclass(frozen=True)
class RunFilter:
    """Filter of runs; an empty attribute does not restrict them.

    Attributes:
        since: Earliest submission.
        until: Submission before which runs are included.
        workspaces: Ids, or names ORG/NAME with `*` and `?`, or `personal`.
        pipelines: Names, with `*` and `?`.
    """

    since: datetime | None = None
    until: datetime | None = None
    workspaces: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != RunFilter()

    @property
    def condition(self) -> str:
        """SQL condition on the columns of `stg_runs`."""
        parts = [_any(_is_workspace(name) for name in self.workspaces)]
        parts += [_any(_is_pipeline(name) for name in self.pipelines)]
        if self.since:
            parts.append(f"submitted_at >= {_literal(self.since.isoformat())}::TIMESTAMPTZ")
        if self.until:
            parts.append(f"submitted_at < {_literal(self.until.isoformat())}::TIMESTAMPTZ")
        return " AND ".join(part for part in parts if part) or "TRUE"


def apply_filter(connection: duckdb.DuckDBPyConnection, scope: RunFilter) -> None:
    """Create temporary views that shadow those of the file and contain only the filtered runs.

    Raises:
        ConfigurationError: A workspace or pipeline of the filter has no run.
    """
    runs = [view for view in iter_views("staging") if view.name == _RUNS]
    create_views(connection, runs, temporary=True)
    for name in scope.workspaces:
        _check(connection, "workspace", name, _is_workspace(name))
    for name in scope.pipelines:
        _check(connection, "pipeline", name, _is_pipeline(name))
    create_views(connection, _iter_filtered(scope), temporary=True)


def _iter_filtered(scope: RunFilter) -> Iterator[View]:
    for view in iter_views():
        if view.kind != "staging" or view.name == _SYNCS or not scope:
            yield view
        elif view.name == _RUNS:
            yield _restrict(view, scope.condition)
        else:
            yield _restrict(view, "run_id IN (SELECT run_id FROM stg_runs)")


def _restrict(view: View, condition: str) -> View:
    return replace(view, sql=f"SELECT * FROM (\n{view.sql}) WHERE {condition}")  # noqa: S608 literals are quoted


def _check(connection: duckdb.DuckDBPyConnection, kind: str, wanted: str, condition: str) -> None:
    found = connection.execute(
        f"SELECT DISTINCT {kind}, {condition} FROM {_RUNS} ORDER BY 1"  # noqa: S608 literals are quoted
    ).fetchall()
    if not any(matches for _, matches in found):
        known = ", ".join(str(name) for name, _ in found[:_SHOWN]) or "none"
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        msg = f"No run has the {kind} {wanted!r}: expected one of {known}{more}."
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
