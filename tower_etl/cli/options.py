"""Options that several commands share, and the way from them to settings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from tower_etl.configuration import (
    Sources,
    parse_moment,
    read_api_version,
    read_endpoint,
    read_pacing,
    read_packages,
    read_period,
    read_tables,
    read_workspaces,
)
from tower_etl.credentials import find_token
from tower_etl.encryption import read_ca_bundle, read_insecure_http
from tower_etl.errors import UsageError
from tower_etl.privacy import read_privacy
from tower_etl.settings import Request, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.load.place import Place
    from tower_etl.load.scope import Scope

_HOUR = timedelta(hours=1)

endpoint_option = click.option(
    "--endpoint",
    metavar="URL",
    help="API endpoint [TOWER_API_ENDPOINT; https://api.cloud.seqera.io].",
)
workspace_option = click.option(
    "--workspace",
    "workspaces",
    metavar="ORG/NAME|ID",
    multiple=True,
    help="Workspace to sync; may be repeated [TOWER_WORKSPACE_ID; all that the token sees].",
)
path_option = click.option(
    "--path", default="tower.duckdb", show_default=True, help="DuckDB file, or folder of a lake."
)
exclude_option = click.option(
    "--exclude",
    "excluded",
    metavar="COLUMN",
    multiple=True,
    help="Leave a column empty: table.column, or column for all tables; may be repeated.",
)
hash_option = click.option(
    "--hash",
    "hashed",
    metavar="COLUMN",
    multiple=True,
    help="Replace the values of a column by digests [key: TOWER_ETL_HASH_SALT]; may be repeated.",
)
redact_option = click.option(
    "--redact/--no-redact", default=None, help="Take secrets out of text [--redact]."
)
destination_option = click.option(
    "--destination",
    type=click.Choice(["duckdb", "parquet", "delta", "iceberg", "postgres"]),
    help="Kind of place of the tables [TOWER_ETL_DESTINATION; duckdb].",
)
place_option = click.option(
    "--path",
    metavar="PATH",
    help="DuckDB file, folder, or address of the tables, without a password [tower.duckdb].",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
tables_option = click.option(
    "--tables",
    metavar="A,B*,!C",
    help="Sync only these tables; !C leaves one out [TOWER_ETL_TABLES; all but those on demand].",
)
rate_option = click.option(
    "--rate",
    metavar="N|none",
    help="Calls a second, for servers of your own with another limit [20].",
)
share_option = click.option(
    "--budget-share",
    "share",
    metavar="F",
    help="Part of the calls that syncs take together, to leave some to other tools [1].",
)


token_command_option = click.option(
    "--token-command",
    metavar="CMD",
    help="Command that prints the token [TOWER_ETL_TOKEN_COMMAND]; not started by a shell.",
)
insecure_option = click.option(
    "--insecure-http",
    is_flag=True,
    help="Send the token over plain HTTP, where anybody on the way can read it.",
)
ca_bundle_option = click.option(
    "--ca-bundle",
    metavar="FILE",
    help="Certificates to trust [REQUESTS_CA_BUNDLE, SSL_CERT_FILE].",
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command that calls a server takes: where it is, and how it is spoken to."""
    for option in (ca_bundle_option, insecure_option, token_command_option, endpoint_option):
        command = option(command)
    return command


scope_since_option = click.option(
    "--since", metavar="ISO", help="Only runs submitted from then on."
)
scope_until_option = click.option("--until", metavar="ISO", help="Only runs submitted before.")
scope_workspace_option = click.option(
    "--workspace",
    "workspaces",
    metavar="ORG/NAME|ID",
    multiple=True,
    help="Only runs of that workspace, `*` and `?` allowed, or `personal`; may be repeated.",
)


def scope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that restrict a question or a report to some of the runs."""
    for option in (scope_workspace_option, scope_until_option, scope_since_option):
        command = option(command)
    return command


def read_scope(
    since: str | None,
    until: str | None,
    workspaces: tuple[str, ...],
    pipelines: tuple[str, ...] = (),
) -> Scope:
    """Return the runs that a question or a report is about.

    Raises:
        UsageError: A time cannot be read, or a name is not valid text.
    """
    from tower_etl.load.scope import Scope  # noqa: PLC0415 imports duckdb

    for name in (*workspaces, *pipelines):
        _check_text(name)
    return Scope(
        since=parse_moment(since, "--since") if since else None,
        until=parse_moment(until, "--until") if until else None,
        workspaces=workspaces,
        pipelines=pipelines,
    )


def _check_text(name: str) -> None:
    """Refuse an argument that is not in the encoding of the environment: no SQL can hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        msg = f"The name {name!r} is not valid in the encoding of this terminal: type it again."
        raise UsageError(msg) from None


def read_sources() -> Sources:
    """Where settings come from when no flag gives them; dlt is imported only if asked."""

    def lookup(name: str) -> str | None:
        from tower_etl.source.config import find_dlt_value  # noqa: PLC0415 imports dlt

        return find_dlt_value(name)

    return Sources(lookup=lookup)


def read_table_names(flag: str | None) -> tuple[str, ...]:
    """Names of tables, or patterns, out of `--tables` or the configuration."""
    names = tuple(name.strip() for name in flag.split(",")) if flag is not None else ()
    return read_tables(names, read_sources())


def read_settings(**flags: Any) -> Settings:  # noqa: ANN401 click hands them over by name
    """Settings from flags, environment and dlt's configuration.

    Raises:
        UsageError: One of them is not usable.
    """
    sources = read_sources()
    since, until = flags.get("since"), flags.get("until")
    return Settings(
        endpoint=read_endpoint(flags.get("endpoint"), sources),
        token=find_token(sources, flags.get("token_command")),
        api_version=read_api_version(sources),
        insecure_http=bool(flags.get("insecure_http")) or read_insecure_http(sources),
        ca_bundle=read_ca_bundle(flags.get("ca_bundle"), sources),
        request=Request(
            workspaces=read_workspaces(tuple(flags.get("workspaces") or ()), sources),
            since=parse_moment(since, "--since") if since else None,
            until=parse_moment(until, "--until") if until else None,
            reconcile=bool(flags.get("reconcile")),
            tables=flags.get("tables") or frozenset(),
            moved=sources.find("TOWER_ETL_SERVER_MOVED", "server_moved") is not None,
            reconcile_every=read_period(sources, "reconcile_hours", _HOUR, 24 * _HOUR),
            give_up_after=read_period(sources, "give_up_days", 24 * _HOUR, 30 * 24 * _HOUR),
        ),
        pacing=read_pacing(flags.get("rate"), flags.get("share"), sources),
        packages=read_packages(sources),
        privacy=read_privacy(
            sources.find,
            redact=flags.get("redact"),
            excluded=flags.get("excluded") or (),
            hashed=flags.get("hashed") or (),
        ),
    )


def read_place(destination: str | None, path: str | None) -> Place:
    """The destination by flags, environment and dlt's configuration.

    Raises:
        UsageError: There is none such, or its path is not usable.
    """
    from tower_etl.load import place  # noqa: PLC0415 imports pyarrow

    return place.read_place(destination, path, read_sources())
