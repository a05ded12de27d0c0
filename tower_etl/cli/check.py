"""`tower-etl check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options
from tower_etl.cli.failures import CostlyError
from tower_etl.cli.output import print_data, print_message

if TYPE_CHECKING:
    from tower_etl.config.settings import HttpSettings, Settings
    from tower_etl.extract.access import TableAccess
    from tower_etl.extract.discovery import Discovery

_NAMED = 3
_SHOWN_CHARS = 90


@click.command("check")
@options.server_options
@options.workspace_option
@options.tables_option
@options.rate_option
@options.rate_limit_share_option
@options.json_option
def command(*, as_json: bool, **flags: Any) -> None:  # noqa: ANN401 click hands them over
    """Ask the server who it is, and what the token may read, table by table. Writes nothing."""
    from tower_etl.extract.access import check_table_access  # noqa: PLC0415 imports dlt
    from tower_etl.extract.discovery import discover  # noqa: PLC0415 imports dlt
    from tower_etl.source import open_client, resolve_table_names  # noqa: PLC0415 imports dlt

    tables = resolve_table_names(options.read_table_names(flags.pop("tables")))
    settings = options.read_settings(tables=tables, **flags)
    client = open_client(settings)
    try:
        discovery = discover(client, settings.options.workspaces)
        found = check_table_access(client, discovery, tables, settings.http.workers)
    except Exception as error:
        raise CostlyError(client.http.metrics) from error
    finally:
        client.http.close()
    if as_json:
        print_data(_as_json(settings, discovery, found) + "\n")
    else:
        print_message(_describe(settings, discovery, found))


def _as_json(settings: Settings, discovery: Discovery, found: list[TableAccess]) -> str:
    return json.dumps(
        _list_facts(settings, discovery) | {"tables": [_list_access(a) for a in found]}
    )


def _list_access(access: TableAccess) -> dict[str, Any]:
    return {"table": access.table, "readable": list(access.readable), "refused": access.denied}


def _list_facts(settings: Settings, discovery: Discovery) -> dict[str, Any]:
    return {
        "endpoint": settings.endpoint,
        "server_version": discovery.server_version,
        "api_version": discovery.api_version,
        "user": discovery.user_name,
        "calls_per_second": settings.http.calls_per_second,
        "budget_share": settings.http.rate_limit_share,
        "workspaces": [{"id": space.id, "name": space.name} for space in discovery.workspaces],
    }


def _describe(settings: Settings, discovery: Discovery, found: list[TableAccess]) -> str:
    lines = [
        f"Endpoint    {settings.endpoint}",
        (
            f"Platform    {discovery.server_version or 'unknown'}, "
            f"API {discovery.api_version or 'unknown'}"
        ),
        f"Token       accepted, user {discovery.user_name or 'unknown'}",
        f"Budget      {_describe_budget(settings.http)}",
        f"Workspaces  {len(discovery.workspaces)}",
    ]
    lines += [f"  {space.key:<18}{space.name}" for space in discovery.workspaces]
    lines += ["Tables      as far as this token may read them"]
    lines += [f"  {access.table:<20}{_describe_access(access)}" for access in found]
    return "\n".join(lines)


def _describe_budget(http_settings: HttpSettings) -> str:
    if http_settings.calls_per_second is None:
        return "no limit"
    places = {str: "the machines that use one Redis", type(None): "this process alone"}
    sharers = places.get(type(http_settings.rate_limit_store), "the syncs of this machine")
    part = (
        f", of which {http_settings.rate_limit_share:.0%} here"
        if http_settings.rate_limit_share < 1
        else ""
    )
    return f"{http_settings.calls_per_second:g} calls a second by {sharers}{part}"


def _describe_access(access: TableAccess) -> str:
    """`ok`, or who refuses and, of the first that does, why."""
    if not access.denied:
        return "ok"
    names = list(access.denied)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    count = f"{len(access.readable)} of {len(access.readable) + len(names)}; " * bool(
        access.readable
    )
    why = next(iter(access.denied.values()))[:_SHOWN_CHARS]
    return f"{count}not {', '.join(names[:_NAMED])}{more}: {why}"
