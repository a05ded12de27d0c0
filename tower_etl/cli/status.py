"""`tower-etl status`."""

from __future__ import annotations

import json

import click

from tower_etl.cli import options
from tower_etl.cli.tabular import as_table


@click.command("status")
@options.path_option
@options.json_option
def command(path: str, *, as_json: bool) -> None:
    """Show what a target holds, workspace by workspace: cursor, open runs, last sync, rows."""
    from tower_etl.load.status import read_status  # noqa: PLC0415 imports duckdb

    spaces = read_status(path)
    if as_json:
        click.echo(json.dumps({"workspaces": [space.as_json() for space in spaces]}))
        return
    rows = [
        (
            space.name,
            str(space.id or ""),
            _show(space.cursor),
            space.open_runs,
            _show(space.last_sync_at),
            _show(space.reconciled_at),
            *space.rows.values(),
        )
        for space in spaces
    ]
    names = ("workspace", "id", "cursor", "open runs", "last sync", "last reconciled")
    click.echo(as_table((*names, "runs", "tasks"), rows))


def _show(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else "never"
