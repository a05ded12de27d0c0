"""Command `tower-etl sync`: one sync, with a summary as text or JSON."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options
from tower_etl.cli.failures import ApiCommandError
from tower_etl.cli.output import print_json, print_message, show_info
from tower_etl.cli.progress import run_with_progress
from tower_etl.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

    from tower_etl.extract.result import WorkspaceResult
    from tower_etl.pipeline import SyncReport


@click.command("sync")
@options.server_options
@options.workspace_option
@options.destination_option
@options.destination_path_option
@click.option(
    "--since",
    metavar="TIME",
    help="Sync only runs submitted at or after this time: ISO 8601, or an age such as 30d. Later "
    "syncs of the workspace keep it; an earlier time adds the runs since then.",
)
@click.option(
    "--until",
    metavar="TIME",
    help="Sync only runs submitted at or before this time, in the formats of --since.",
)
@click.option(
    "--reconcile",
    is_flag=True,
    help="Compare with a full listing to detect changed and deleted runs.",
)
@options.tables_option
@options.exclude_option
@options.hash_option
@options.redact_option
@options.rate_option
@options.rate_limit_share_option
@options.json_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only: no progress, no summary.")
@click.option("-v", "--verbose", is_flag=True, help="Log each step, as --log-level info does.")
def command(
    path: str | None,
    destination: str | None,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **flags: Any,  # noqa: ANN401 passed by click
) -> int:
    """Bring the tables up to date: new runs, open runs, and once a day a full reconciliation."""
    from tower_etl.destinations.base import open_destination  # noqa: PLC0415 imports dlt and duckdb
    from tower_etl.pipeline import SyncRunner  # noqa: PLC0415 imports dlt
    from tower_etl.source import select_command_tables  # noqa: PLC0415 imports dlt

    if verbose:
        show_info()
    tables = select_command_tables(options.read_table_names(flags.pop("tables")))
    settings = options.read_settings(tables=tables, **flags)
    config = options.destination_config(destination, path)
    sync = SyncRunner(settings, open_destination(config))
    try:
        with _hidden_modules("pandas", *(() if config.kind == "iceberg" else ("sqlalchemy",))):
            report, code = run_with_progress(sync, config.work_dir, quiet=quiet)
    except Exception as error:
        raise ApiCommandError(sync.metrics) from error
    if as_json:
        print_json(_as_json(report))
    elif not quiet or (code and not report.result.stopped):
        print_message(describe_report(report, config.path or config.kind))
    return code


def _as_json(report: SyncReport) -> dict[str, Any]:
    """Return the `--json` object, with `error` if every workspace failed."""
    json_object = report.as_json()
    if report.result.status == "failed":
        json_object["error"] = "; ".join(
            str(workspace.error) for workspace in report.result.unsuccessful
        )
    return json_object


def describe_incomplete(workspace: WorkspaceResult) -> list[str]:
    """Return lines on the runs of a workspace that are pending or lack a part."""
    lines = []
    if workspace.pending:
        pending = pluralize(len(workspace.pending), "run")
        lines.append(
            f"Pending: {workspace.name}: {pending} could not be fetched; the next syncs retry. "
            "`tower-etl status` lists them."
        )
    for part, count in workspace.incomplete.items():
        lines.append(
            f"Incomplete: {workspace.name}: the server does not have the {part} of "
            f"{pluralize(count, 'run')}; the daily reconciliation retries (`missing_parts` in "
            "`workflows`)."
        )
    return lines


def describe_report(report: SyncReport, path: str) -> str:
    """Return the summary of a sync as text."""
    sync_result = report.result
    lines = [
        f"{path}: {sync_result.status}; {sync_result.fetched:,} runs, {sync_result.tasks:,} tasks; "
        f"{report.calls:,} calls in {report.seconds:.1f} s"
        + (f" ({report.retries} retried)" if report.retries else "")
    ]
    lines += [
        f"  {name:<22}{count:>10,} rows written" for name, count in sorted(report.rows.items())
    ]
    lines += [
        f"New fields in {table} without a column: {', '.join(names)} (see `promote` in "
        "docs/privacy.md)"
        for table, names in sync_result.undocumented.items()
    ]
    lines += [f"Warning: {warning}" for warning in sync_result.warnings]
    lines += [f"Failed: {error}" for error in sync_result.reference_errors]
    lines += [
        f"Failed: {workspace.error}" for workspace in sync_result.unsuccessful if workspace.error
    ]
    for workspace in sync_result.workspaces.values():
        lines += describe_incomplete(workspace)
    if sync_result.stopped:
        lines.append("Stopped. Committed data is safe. Run the same command to resume.")
    return "\n".join(lines)


class _HidingFinder:
    """Import finder that reports some modules as not installed."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Refuse the hidden modules, and leave all others to the next finder."""
        del path, target
        if name in self._names:
            raise ModuleNotFoundError(name=name)
        return None


@contextmanager
def _hidden_modules(*names: str) -> Iterator[None]:
    """Hide modules inside the context, except those that are imported already.

    pyarrow imports pandas when it converts the first Python list, to recognize pandas' types, and
    dlt imports SQLAlchemy, if it is installed, to write a URL. Both work without, and the imports
    take a fifth of the time of a sync without changes.
    """
    finder = _HidingFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
