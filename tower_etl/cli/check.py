"""`tower-etl check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options
from tower_etl.cli.failures import CostlyError
from tower_etl.cli.output import print_data, print_message

if TYPE_CHECKING:
    from tower_etl.settings import Pacing, Settings
    from tower_etl.source import Access, Reach

_NAMED = 3
_SHOWN_CHARS = 90


@click.command("check")
@options.server_options
@options.workspace_option
@options.tables_option
@options.rate_option
@options.share_option
@options.json_option
def command(*, as_json: bool, **flags: Any) -> None:  # noqa: ANN401 click hands them over
    """Ask the server who it is, and what the token may read, table by table. Writes nothing."""
    from tower_etl.source import (  # noqa: PLC0415 imports dlt
        inspect_tables,
        open_client,
        pick_tables,
        run_preflight,
    )

    tables = pick_tables(options.read_table_names(flags.pop("tables")))
    settings = options.read_settings(tables=tables, **flags)
    client = open_client(settings)
    try:
        reach = run_preflight(client, settings.request.workspaces)
        found = inspect_tables(client, reach, tables, settings.pacing.workers)
    except Exception as error:
        raise CostlyError(client.transport.meter) from error
    finally:
        client.transport.close()
    if as_json:
        print_data(_as_json(settings, reach, found) + "\n")
    else:
        print_message(_describe(settings, reach, found))


def _as_json(settings: Settings, reach: Reach, found: list[Access]) -> str:
    return json.dumps(_list_facts(settings, reach) | {"tables": [_list_access(a) for a in found]})


def _list_access(access: Access) -> dict[str, Any]:
    return {"table": access.table, "readable": list(access.readable), "refused": access.refused}


def _list_facts(settings: Settings, reach: Reach) -> dict[str, Any]:
    return {
        "endpoint": settings.endpoint,
        "server_version": reach.server_version,
        "api_version": reach.api_version,
        "user": reach.user_name,
        "calls_per_second": settings.pacing.calls_per_second,
        "budget_share": settings.pacing.share,
        "workspaces": [{"id": space.id, "name": space.name} for space in reach.workspaces],
    }


def _describe(settings: Settings, reach: Reach, found: list[Access]) -> str:
    lines = [
        f"Endpoint    {settings.endpoint}",
        f"Platform    {reach.server_version or 'unknown'}, API {reach.api_version or 'unknown'}",
        f"Token       accepted, user {reach.user_name or 'unknown'}",
        f"Budget      {_describe_budget(settings.pacing)}",
        f"Workspaces  {len(reach.workspaces)}",
    ]
    lines += [f"  {space.key:<18}{space.name}" for space in reach.workspaces]
    lines += ["Tables      as far as this token may read them"]
    lines += [f"  {access.table:<20}{_describe_access(access)}" for access in found]
    return "\n".join(lines)


def _describe_budget(pacing: Pacing) -> str:
    if pacing.calls_per_second is None:
        return "no limit"
    places = {str: "the machines that use one Redis", type(None): "this process alone"}
    sharers = places.get(type(pacing.ledger), "the syncs of this machine")
    part = f", of which {pacing.share:.0%} here" if pacing.share < 1 else ""
    return f"{pacing.calls_per_second:g} calls a second by {sharers}{part}"


def _describe_access(access: Access) -> str:
    """`ok`, or who refuses and, of the first that does, why."""
    if not access.refused:
        return "ok"
    names = list(access.refused)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    count = f"{len(access.readable)} of {len(access.readable) + len(names)}; " * bool(
        access.readable
    )
    why = next(iter(access.refused.values()))[:_SHOWN_CHARS]
    return f"{count}not {', '.join(names[:_NAMED])}{more}: {why}"
