"""`tower-etl check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options

if TYPE_CHECKING:
    from tower_etl.settings import Pacing, Settings
    from tower_etl.source import Reach


@click.command("check")
@options.endpoint_option
@options.workspace_option
@options.rate_option
@options.share_option
@options.json_option
def command(*, as_json: bool, **flags: Any) -> None:  # noqa: ANN401
    """Ask the server who it is, and what the token may see. Writes nothing."""
    from tower_etl.source import open_client, run_preflight  # noqa: PLC0415 imports dlt

    settings = options.read_settings(**flags)
    client = open_client(settings)
    try:
        reach = run_preflight(client, settings.request.workspaces)
    finally:
        client.transport.close()
    click.echo(json.dumps(_as_json(settings, reach)) if as_json else _describe(settings, reach))


def _as_json(settings: Settings, reach: Reach) -> dict[str, Any]:
    return {
        "endpoint": settings.endpoint,
        "server_version": reach.server_version,
        "api_version": reach.api_version,
        "user": reach.user_name,
        "calls_per_second": settings.pacing.calls_per_second,
        "budget_share": settings.pacing.share,
        "workspaces": [{"id": space.id, "name": space.name} for space in reach.workspaces],
    }


def _describe(settings: Settings, reach: Reach) -> str:
    lines = [
        f"Endpoint    {settings.endpoint}",
        f"Platform    {reach.server_version or 'unknown'}, API {reach.api_version or 'unknown'}",
        f"Token       accepted, user {reach.user_name or 'unknown'}",
        f"Budget      {_describe_budget(settings.pacing)}",
        f"Workspaces  {len(reach.workspaces)}",
    ]
    lines += [f"  {space.key:<18}{space.name}" for space in reach.workspaces]
    return "\n".join(lines)


def _describe_budget(pacing: Pacing) -> str:
    if pacing.calls_per_second is None:
        return "no limit"
    places = {str: "the machines that use one Redis", type(None): "this process alone"}
    sharers = places.get(type(pacing.ledger), "the syncs of this machine")
    part = f", of which {pacing.share:.0%} here" if pacing.share < 1 else ""
    return f"{pacing.calls_per_second:g} calls a second by {sharers}{part}"
