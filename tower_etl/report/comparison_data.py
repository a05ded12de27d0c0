"""Data of a comparison: two groups of runs with their tasks and costs."""

from __future__ import annotations

import csv
import fnmatch
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.report.comparison import MEASURES, ComparedRun, ComparedTask, Group
from tower_etl.text import quote_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.warehouse.status import Query

KINDS = ("revision", "fusion", "compute_env")
GROUP_VIEWS = ("stg_runs", "bill_by_run", "stg_comparable_tasks", "stg_run_groups")
"""Views that `read_groups` queries."""

_LABEL = "label:"
_RUNS = """
SELECT r.run_id, r.pipeline, r.status, r.duration_seconds / 3600, b.platform_usd, b.bill_usd
FROM stg_runs AS r INNER JOIN bill_by_run AS b ON b.run_id = r.run_id
WHERE r.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
ORDER BY r.submitted_at, r.run_id
"""
_TASKS = f"""
SELECT run_id, pipeline, process, sample, status, attempt, {", ".join(MEASURES)}
FROM stg_comparable_tasks ORDER BY run_id, task_id
"""  # noqa: S608 names of columns
_LISTED_GROUPS = 10


def read_groups(
    query: Query, group_by: str, names: Sequence[str] = (), pipelines: Sequence[str] = ()
) -> tuple[Group, Group]:
    """Read the two groups of runs to compare.

    Args:
        query: Runs SQL that refers to the views without a schema.
        group_by: One of `KINDS`, `label:KEY`, or a CSV file with the columns run_id and group.
        names: Names of the two groups, the reference first. If empty, the two groups with the
            newest runs.
        pipelines: Pipeline names, with `*` and `?` as wildcards; all pipelines if empty.

    Raises:
        ConfigurationError: The two groups do not exist, or the file cannot be read.
    """
    runs = [ComparedRun(*row) for row in query(_RUNS) if _is_chosen(row[1], pipelines)]
    groups = _read_membership(query, group_by)
    members: dict[str, list[ComparedRun]] = {}
    for run in runs:
        if run.id in groups:
            name = groups[run.id]
            members[name] = members.pop(name, [])  # the group with the newest run is last
            members[name].append(run)
    first, second = _choose(group_by, list(members), names)
    chosen = {run.id for name in (first, second) for run in members[name]}
    tasks: dict[str, list[ComparedTask]] = defaultdict(list)
    for run_id, pipeline, process, sample, status, attempt, *values in query(_TASKS):
        if run_id in chosen:
            task = ComparedTask(run_id, pipeline, process, sample, status, attempt, tuple(values))
            tasks[groups[run_id]].append(task)
    return (
        Group(first, members[first], tasks[first]),
        Group(second, members[second], tasks[second]),
    )


def _is_chosen(pipeline: str, patterns: Sequence[str]) -> bool:
    lowered = (pattern.strip().lower() for pattern in patterns)
    return not patterns or any(fnmatch.fnmatchcase(pipeline.lower(), p) for p in lowered)


def _read_membership(query: Query, group_by: str) -> dict[str, str]:
    """Return the group of each run, by run id."""
    if group_by in KINDS or group_by.startswith(_LABEL):
        kind = quote_text(group_by)
        return dict(query(f"SELECT run_id, value FROM stg_run_groups WHERE kind = {kind}"))  # noqa: S608 quoted
    return _read_file(Path(group_by).expanduser())


def _read_file(path: Path) -> dict[str, str]:
    expected = f"one of {', '.join(KINDS)}, label:KEY, or a CSV file with columns run_id and group"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"Invalid --group-by {str(path)!r}: expected {expected} ({error})."
        raise ConfigurationError(msg) from None
    if not rows or not {"run_id", "group"} <= rows[0].keys():
        msg = f"{path}: expected a CSV file with the columns run_id and group, and a line per run."
        raise ConfigurationError(msg)
    return {row["run_id"].strip(): row["group"].strip() for row in rows}


def _choose(group_by: str, ranked: Sequence[str], names: Sequence[str]) -> tuple[str, str]:
    """Return the names of the two groups, the reference first."""
    if missing := [name for name in names if name not in ranked]:
        known = ", ".join(ranked[-_LISTED_GROUPS:]) or "none"
        msg = f"No run that ended is in the group {', '.join(missing)}. There are: {known}."
        raise ConfigurationError(msg)
    if len(names) == 2:  # noqa: PLR2004 a comparison is of two
        return names[0], names[1]
    if len(ranked) < 2:  # noqa: PLR2004 as above
        known = ", ".join(ranked) or "none"
        msg = (
            f"There are no two groups by {group_by} to compare (found: {known}). Choose another "
            "--group-by, or other --pipeline."
        )
        raise ConfigurationError(msg)
    if group_by == "fusion":
        return "off", "on"
    return ranked[-2], ranked[-1]
