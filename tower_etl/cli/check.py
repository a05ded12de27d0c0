"""Command `tower-etl check`: endpoint, token and access to each table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.cli import options
from tower_etl.cli.failures import ApiCommandError
from tower_etl.cli.output import print_json, print_message
from tower_etl.cli.progress import format_duration
from tower_etl.text import enumerate_names

if TYPE_CHECKING:
    from tower_etl.config.settings import HttpSettings, Settings
    from tower_etl.extract.access import TableAccess
    from tower_etl.extract.discovery import Discovery

RunCounts = Mapping[str, "int | None"]  # by workspace key

_CALLS_PER_RUN = 3  # the run, its tasks and its metrics
_SHOWN_PARTITIONS = 3
_SHOWN_CHARS = 90


@click.command("check")
@options.server_options
@options.workspace_option
@options.tables_option
@options.rate_option
@options.rate_limit_share_option
@options.json_option
def command(*, as_json: bool, **flags: Any) -> None:  # noqa: ANN401 passed by click
    """Check endpoint and token, and which tables the token may read. Writes nothing."""
    from tower_etl.extract.access import check_table_access, count_runs  # noqa: PLC0415 imports dlt
    from tower_etl.extract.discovery import discover  # noqa: PLC0415 imports dlt
    from tower_etl.source import open_client, select_command_tables  # noqa: PLC0415 imports dlt

    tables = select_command_tables(options.read_table_names(flags.pop("tables")))
    settings = options.read_settings(tables=tables, **flags)
    client = open_client(settings)
    try:
        discovery = discover(client, settings.options.workspaces)
        runs = count_runs(client, discovery)
        workers = settings.http.choose_workers(client.http.metrics.response_seconds)
        accesses = check_table_access(client, discovery, tables, workers)
    except Exception as error:
        raise ApiCommandError(client.http.metrics) from error
    finally:
        client.http.close()
    if as_json:
        print_json(_as_json(settings, discovery, accesses, runs))
    else:
        print_message(_describe_check(settings, discovery, accesses, runs))


def _as_json(
    settings: Settings, discovery: Discovery, accesses: list[TableAccess], runs: RunCounts
) -> dict[str, Any]:
    calls = None if None in runs.values() else _estimate_calls(runs)
    return {
        "endpoint": settings.endpoint,
        "server_version": discovery.server_version,
        "api_version": discovery.api_version,
        "user": discovery.user_name,
        "calls_per_second": settings.http.calls_per_second,
        "budget_share": settings.http.rate_limit_share,
        "workspaces": [
            {"id": workspace.id, "name": workspace.name, "runs": runs[workspace.key]}
            for workspace in discovery.workspaces
        ],
        "tables": [
            {"table": access.table, "readable": list(access.readable), "refused": access.denied}
            for access in accesses
        ],
        "first_sync": {"calls": calls, "seconds": _estimate_seconds(calls, settings.http)},
    }


def _estimate_calls(runs: RunCounts) -> int:
    """Return the least number of calls of a first sync: pages of runs, and the parts of each."""
    counts = [count or 0 for count in runs.values()]
    return sum(count * _CALLS_PER_RUN + -(-count // MAX_PAGE) for count in counts)


def _estimate_seconds(calls: int | None, http_settings: HttpSettings) -> float | None:
    rate = http_settings.calls_per_second
    if calls is None or rate is None:
        return None
    return calls / (rate * http_settings.rate_limit_share)


def _describe_check(
    settings: Settings, discovery: Discovery, accesses: list[TableAccess], runs: RunCounts
) -> str:
    lines = [
        f"Endpoint    {settings.endpoint}",
        (
            f"Platform    {discovery.server_version or 'unknown'}, "
            f"API {discovery.api_version or 'unknown'}"
        ),
        f"Token       accepted, user {discovery.user_name or 'unknown'}",
        f"Rate limit  {_describe_rate_limit(settings.http)}",
        f"Workspaces  {len(discovery.workspaces)}",
    ]
    lines += [
        f"  {workspace.key:<18}{workspace.name}{_describe_count(runs[workspace.key])}"
        for workspace in discovery.workspaces
    ]
    lines.append(f"First sync  {_describe_estimate(runs, settings.http)}")
    lines += ["Tables      access with this token"]
    lines += [f"  {access.table:<20}{_describe_access(access)}" for access in accesses]
    return "\n".join(lines)


def _describe_count(count: int | None) -> str:
    return "" if count is None else f": {count:,} runs"


def _describe_estimate(runs: RunCounts, http_settings: HttpSettings) -> str:
    """Return the calls and the time of a first sync of all runs."""
    if None in runs.values():
        return "unknown, because the server does not count the runs of every workspace"
    calls = _estimate_calls(runs)
    seconds = _estimate_seconds(calls, http_settings)
    duration = f", {format_duration(seconds)}" if seconds is not None else ""
    return f"at least {calls:,} calls{duration}; more for runs with over {MAX_PAGE} tasks"


def _describe_rate_limit(http_settings: HttpSettings) -> str:
    if http_settings.calls_per_second is None:
        return "no limit"
    by_store = {str: "all clients of the Redis server", type(None): "this process only"}
    sharers = by_store.get(type(http_settings.rate_limit_store), "all syncs on this machine")
    share = (
        f", limited to {http_settings.rate_limit_share:.0%}"
        if http_settings.rate_limit_share < 1
        else ""
    )
    return f"{http_settings.calls_per_second:g} calls per second, shared by {sharers}{share}"


def _describe_access(access: TableAccess) -> str:
    """Return `ok`, or the partitions that deny access, with the reason of the first one."""
    if not access.denied:
        return "ok"
    names = list(access.denied)
    count = f"{len(access.readable)} of {len(access.readable) + len(names)}; " * bool(
        access.readable
    )
    reason = next(iter(access.denied.values()))[:_SHOWN_CHARS]
    return f"{count}denied by {enumerate_names(names, _SHOWN_PARTITIONS)}: {reason}"
