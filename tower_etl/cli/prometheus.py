"""What a target holds as metrics of Prometheus, for the textfile collector of node_exporter."""

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

_OF_WORKSPACES: Mapping[str, tuple[str, Callable[[WorkspaceStatus], float | None]]] = {
    "last_success_timestamp_seconds": (
        "When a sync last brought the workspace up to date, apart from pending runs.",
        lambda space: space.last_sync_at.timestamp() if space.last_sync_at else None,
    ),
    "open_runs": ("Runs that are visited until they are final.", lambda space: space.open_runs),
    "pending_runs": ("Runs that could not be fetched so far.", lambda space: len(space.pending)),
    "incomplete_runs": (
        "Runs without a part that the server does not have.",
        lambda space: space.incomplete_runs,
    ),
    "runs": ("Runs held.", lambda space: space.rows["workflows"]),
    "tasks": ("Tasks held.", lambda space: space.rows["tasks"]),
}

_OF_SYNCS: Mapping[str, tuple[str, Callable[[LastSync], float]]] = {
    "timestamp_seconds": ("When the last sync ended.", lambda sync: sync.finished_at.timestamp()),
    "duration_seconds": ("How long it took.", lambda sync: sync.seconds),
    "calls": ("Calls it made, retried ones included.", lambda sync: sync.calls),
    "retries": ("Calls it made again after a failure.", lambda sync: sync.retries),
    "throttled_seconds": ("Time it waited for the limit.", lambda sync: sync.throttled_seconds),
}


def build_registry(
    spaces: Iterable[WorkspaceStatus], last: LastSync | None, now: datetime, code: int
) -> CollectorRegistry:
    """The metrics of a target.

    Args:
        spaces: Its workspaces.
        last: The sync that committed last, None where there is none.
        now: The time (UTC), which ages are reckoned from.
        code: What `status` exits with.
    """
    registry = CollectorRegistry()
    listed = list(spaces)
    for name, (text, read) in _OF_WORKSPACES.items():
        _add_workspaces(registry, name, text, {s.name: read(s) for s in listed})
    ages = {s.name: (now - s.last_sync_at).total_seconds() for s in listed if s.last_sync_at}
    _add_workspaces(registry, "age_seconds", "Time since then, when this was written.", ages)
    if last is not None:
        _add_sync(registry, last)
    text = "What tower-etl status exited with: 4 where a workspace is behind."
    Gauge("tower_etl_status_exit_code", text, registry=registry).set(code)
    return registry


def write(registry: CollectorRegistry, path: str) -> None:
    """Replace a file atomically, write to a pipe or device, or print where the path is `-`.

    Raises:
        OSError: The file cannot be written; it is the one that the error names.
    """
    if path == "-":
        print_data(generate_latest(registry).decode())
        return
    try:
        if Path(path).exists() and not Path(path).is_file():
            Path(path).write_bytes(generate_latest(registry))
        else:
            write_to_textfile(path, registry)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def _add_workspaces(
    registry: CollectorRegistry, name: str, text: str, values: Mapping[str, float | None]
) -> None:
    gauge = Gauge(f"tower_etl_{name}", text, ["workspace"], registry=registry)
    for space, value in values.items():
        if value is not None:
            gauge.labels(space).set(value)


def _add_sync(registry: CollectorRegistry, last: LastSync) -> None:
    for name, (text, read) in _OF_SYNCS.items():
        Gauge(f"tower_etl_last_sync_{name}", text, registry=registry).set(read(last))
    text = "How it ended: 1 for one of ok, partial and failed."
    ended = Gauge("tower_etl_last_sync_status", text, ["status"], registry=registry)
    for status in _STATUSES:
        ended.labels(status).set(status == last.status)
