"""Command `tower-etl status`: cursor, open runs, pending runs and age of each workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options
from tower_etl.cli.output import check_output_path, print_json, print_message, print_notice
from tower_etl.cli.tables import format_table
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.config.resolver import parse_age
from tower_etl.errors import ConfigurationError
from tower_etl.text import install_command

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.destinations.progress import RunningSync
    from tower_etl.sync import FailedRun
    from tower_etl.warehouse.status import LastSync, WorkspaceStatus

_SHOWN = 20  # pending runs listed per workspace; --json lists all


@click.command("status")
@options.destination_option
@options.destination_path_option
@click.option(
    "--max-age",
    metavar="AGE",
    help="Exit with 4 if the last sync of a workspace is older than this: 90m, 2h, 1d.",
)
@click.option(
    "--prometheus",
    metavar="FILE",
    help="Write metrics for the textfile collector of node_exporter to this file; - for standard "
    "output.",
)
@options.json_option
def command(
    destination: str | None,
    path: str | None,
    max_age: str | None,
    prometheus: str | None,
    *,
    as_json: bool,
) -> int:
    """Show the state of a destination per workspace: cursor, open runs, last sync, row counts."""
    from tower_etl.destinations.progress import read_progress  # noqa: PLC0415 imports dlt
    from tower_etl.warehouse.status import stale_workspaces  # noqa: PLC0415 imports duckdb

    check_output_path(prometheus, "--prometheus")
    age = read_max_age(max_age) if max_age is not None else None
    now = SYSTEM_CLOCK.now()
    config = options.destination_config(destination, path, exists=True)
    running = read_progress(config)
    try:
        workspaces, last = _read_status(config)
    except ConfigurationError:
        if not running:
            raise
        workspaces, last = [], None  # the first sync has published nothing yet
    stale = stale_workspaces(workspaces, age, now) if age is not None else []
    code = 4 if stale or (age is not None and not workspaces) else 0
    if prometheus is not None:
        _write_metrics(prometheus, workspaces, last, now, code)
    elif as_json:
        print_json(_as_json(workspaces, stale, running))
    else:
        _print_text(workspaces, running)
    for workspace in stale:
        shown_time = _format_time(workspace.last_sync_at)
        print_notice(f"Stale: {workspace.name}, last synced {shown_time}")
    return code


def _as_json(
    workspaces: list[WorkspaceStatus], stale: list[WorkspaceStatus], running: RunningSync | None
) -> dict[str, Any]:
    return {
        "workspaces": [workspace.as_json() for workspace in workspaces],
        "stale": [workspace.name for workspace in stale],
        "running": running.as_json() if running else None,
    }


def _print_text(workspaces: list[WorkspaceStatus], running: RunningSync | None) -> None:
    if workspaces or not running:
        _print_table(workspaces)
    if running:
        print_message(
            f"Running: process {running.pid} on {running.host}: {running.progress}"
            + ("" if workspaces else ". The tables appear when this first sync ends.")
        )


def _write_metrics(
    path: str, workspaces: list[WorkspaceStatus], last: LastSync | None, now: datetime, code: int
) -> None:
    try:
        from tower_etl.cli.prometheus import build_registry, write  # noqa: PLC0415 an extra
    except ImportError as error:
        command = install_command("metrics")
        msg = f"--prometheus needs the package {error.name}. Run: {command}"
        raise ConfigurationError(msg) from None
    write(build_registry(workspaces, last, now, code), path)


def read_max_age(text: str) -> timedelta:
    """Return the duration of `--max-age`.

    Raises:
        ConfigurationError: The text is not a duration.
    """
    if (age := parse_age(text)) is not None:
        return age
    msg = f"Invalid --max-age {text!r}: expected a duration such as 90m, 2h or 1d."
    raise ConfigurationError(msg)


def _read_status(config: DestinationConfig) -> tuple[list[WorkspaceStatus], LastSync | None]:
    from tower_etl.warehouse.status import (  # noqa: PLC0415 imports duckdb
        query_destination,
        query_last_sync,
        query_status,
    )

    return query_destination(config, lambda query: (query_status(query), query_last_sync(query)))


def _print_table(workspaces: list[WorkspaceStatus]) -> None:
    rows = [
        (
            workspace.name,
            str(workspace.id or ""),
            _format_time(workspace.cursor),
            workspace.open_runs,
            len(workspace.pending),
            _format_time(workspace.last_sync_at),
            _format_time(workspace.reconciled_at),
            *workspace.row_counts.values(),
        )
        for workspace in workspaces
    ]
    names = ("workspace", "id", "cursor", "open runs", "pending", "last sync", "last reconciled")
    print_message(format_table((*names, "runs", "tasks"), rows))
    for workspace in workspaces:
        for line in _describe_problems(workspace):
            print_message(line)


def _describe_problems(workspace: WorkspaceStatus) -> list[str]:
    """Return a line for each reason why the tables of a workspace are incomplete."""
    lines = []
    if workspace.invisible_since:
        lines.append(
            f"Not visible: {workspace.name}, since {_format_time(workspace.invisible_since)}. "
            "The token can no longer see this workspace; its rows are kept."
        )
    ordered = sorted(workspace.pending.items(), key=lambda item: item[1].first_failed_at)
    lines += [_describe_pending(workspace.name, run_id, run) for run_id, run in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        lines.append(f"Pending: {workspace.name}: {len(ordered) - _SHOWN:,} more (see --json).")
    if workspace.incomplete_runs:
        lines.append(
            f"Incomplete: {workspace.name}: {workspace.incomplete_runs:,} runs lack a part that "
            "the server did not have (`missing_parts` in `workflows`)."
        )
    return lines


def _describe_pending(workspace: str, run_id: str, run: FailedRun) -> str:
    when = "by the next sync" if run.retry_in <= 1 else f"in {run.retry_in} syncs at the latest"
    attempts = "once" if run.attempts == 1 else f"{run.attempts} times"
    return (
        f"Pending: {workspace}: run {run_id} failed {attempts} since "
        f"{_format_time(run.first_failed_at)}, retry {when}: {run.error}"
    )


def _format_time(timestamp: object) -> str:
    return f"{timestamp:%Y-%m-%d %H:%M:%SZ}" if timestamp else "never"
