"""Prometheus metrics on a destination, for the textfile collector of node_exporter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest, write_to_textfile

from tower_etl.cli.output import print_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from tower_etl.warehouse.status import LastSync, WorkspaceStatus

_STATUSES = ("ok", "partial", "failed")

_WORKSPACE_METRICS: Mapping[str, tuple[str, Callable[[WorkspaceStatus], float | None]]] = {
    "last_success_timestamp_seconds": (
        "End of the last sync that updated the workspace, apart from pending runs.",
        lambda workspace: workspace.last_sync_at.timestamp() if workspace.last_sync_at else None,
    ),
    "open_runs": (
        "Runs that have not finished and are refreshed by each sync.",
        lambda workspace: workspace.open_runs,
    ),
    "pending_runs": (
        "Runs that could not be fetched yet and are retried.",
        lambda workspace: len(workspace.pending),
    ),
    "incomplete_runs": (
        "Runs that lack a part which the server did not have.",
        lambda workspace: workspace.incomplete_runs,
    ),
    "runs": ("Runs in the destination.", lambda workspace: workspace.row_counts["workflows"]),
    "tasks": ("Tasks in the destination.", lambda workspace: workspace.row_counts["tasks"]),
}

_SYNC_METRICS: Mapping[str, tuple[str, Callable[[LastSync], float]]] = {
    "timestamp_seconds": ("End of the last sync.", lambda sync: sync.finished_at.timestamp()),
    "duration_seconds": ("Duration of the last sync.", lambda sync: sync.seconds),
    "calls": ("Calls made by the last sync, retries included.", lambda sync: sync.calls),
    "retries": ("Calls that the last sync repeated after a failure.", lambda sync: sync.retries),
    "throttled_seconds": (
        "Time for which the last sync waited after responses 429.",
        lambda sync: sync.throttled_seconds,
    ),
}


def build_registry(
    workspaces: Iterable[WorkspaceStatus], last: LastSync | None, now: datetime, code: int
) -> CollectorRegistry:
    """Return the metrics of a destination.

    Args:
        workspaces: Status of its workspaces.
        last: Sync that committed last, None if there is none.
        now: Current time (UTC), from which ages are computed.
        code: Exit code of `status`.
    """
    registry = CollectorRegistry()
    listed = list(workspaces)
    for name, (text, read) in _WORKSPACE_METRICS.items():
        _add_workspaces(registry, name, text, {s.name: read(s) for s in listed})
    ages = {s.name: (now - s.last_sync_at).total_seconds() for s in listed if s.last_sync_at}
    _add_workspaces(
        registry,
        "age_seconds",
        "Time since the last sync that updated the workspace.",
        ages,
    )
    if last is not None:
        _add_sync(registry, last)
    text = "Exit code of tower-etl status: 4 if a workspace is stale."
    Gauge("tower_etl_status_exit_code", text, registry=registry).set(code)
    return registry


def write(registry: CollectorRegistry, path: str) -> None:
    """Replace a file atomically, write to a pipe or device, or print if the path is `-`.

    Raises:
        OSError: The file cannot be written; the error has its path.
    """
    if path == "-":
        print_data(generate_latest(registry).decode())
        return
    try:
        if Path(path).exists() and not Path(path).is_file():
            Path(path).write_bytes(generate_latest(registry))
        else:
            write_to_textfile(path, registry)
    except OSError as error:  # write_to_textfile names its temporary file
        raise OSError(error.errno, error.strerror, path) from None


def _add_workspaces(
    registry: CollectorRegistry, name: str, text: str, values: Mapping[str, float | None]
) -> None:
    gauge = Gauge(f"tower_etl_{name}", text, ["workspace"], registry=registry)
    for workspace, value in values.items():
        if value is not None:
            gauge.labels(workspace).set(value)


def _add_sync(registry: CollectorRegistry, last: LastSync) -> None:
    for name, (text, read) in _SYNC_METRICS.items():
        Gauge(f"tower_etl_last_sync_{name}", text, registry=registry).set(read(last))
    text = "Result of the last sync: 1 for the status that applies, 0 for the others."
    ended = Gauge("tower_etl_last_sync_status", text, ["status"], registry=registry)
    for status in _STATUSES:
        ended.labels(status).set(status == last.status)
