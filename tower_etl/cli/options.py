"""Options that several commands share, and their resolution to settings."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tower_etl.config.catalog import SETTINGS, is_enabled
from tower_etl.config.credentials import resolve_allow_http, resolve_ca_bundle, token_from_sources
from tower_etl.config.dlt_config import dlt_config_value
from tower_etl.config.resolver import (
    SettingSources,
    parse_user_timestamp,
    resolve_api_version,
    resolve_duration,
    resolve_endpoint,
    resolve_http,
    resolve_package_limits,
    resolve_privacy,
    resolve_tables,
    resolve_workspaces,
)
from tower_etl.config.settings import Settings, SyncOptions
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.warehouse.filters import RunFilter

_HOUR = timedelta(hours=1)

endpoint_option = click.option(
    "--endpoint",
    metavar="URL",
    help=f"API endpoint {SETTINGS['endpoint'].hint}.",
)
workspace_option = click.option(
    "--workspace",
    "workspaces",
    metavar="ORG/NAME|ID",
    multiple=True,
    help=f"Workspace to sync; may be repeated [{SETTINGS['workspace_id'].env_name}, "
    f"{SETTINGS['workspaces'].hint[1:]}.",
)
exclude_option = click.option(
    "--exclude",
    "excluded",
    metavar="COLUMN",
    multiple=True,
    help="Column to leave empty: table.column, or column for all tables; may be repeated "
    f"{SETTINGS['exclude'].hint}.",
)
hash_option = click.option(
    "--hash",
    "hashed",
    metavar="COLUMN",
    multiple=True,
    help="Column whose values are replaced by digests; may be repeated "
    f"{SETTINGS['hash'].hint}; the key of the digests is in TOWER_ETL_HASH_SALT.",
)
redact_option = click.option(
    "--redact/--no-redact", default=None, help=f"Mask secrets in text {SETTINGS['redact'].hint}."
)
destination_option = click.option(
    "--destination",
    type=click.Choice(["duckdb", "parquet", "delta", "iceberg", "postgres"]),
    help=f"Destination type {SETTINGS['destination'].hint}.",
)
destination_path_option = click.option(
    "--path",
    metavar="PATH",
    help=f"DuckDB file, folder, or URL of the tables, without a password {SETTINGS['path'].hint}.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
tables_option = click.option(
    "--tables",
    metavar="A,B*,!C",
    help="Only these tables: comma-separated names, * allowed, !C excludes C "
    f"{SETTINGS['tables'].hint}.",
)
rate_option = click.option(
    "--rate",
    metavar="N|none",
    help=f"Maximum API calls per second {SETTINGS['rate'].hint}. Change it only for self-hosted "
    "servers with another limit.",
)
rate_limit_share_option = click.option(
    "--budget-share",
    "share",
    metavar="F",
    help="Fraction of the rate limit that all syncs together may use; the rest is left to other "
    f"clients {SETTINGS['budget_share'].hint}.",
)


token_command_option = click.option(
    "--token-command",
    metavar="CMD",
    help=f"Command that prints the token, run without a shell {SETTINGS['token_command'].hint}.",
)
insecure_option = click.option(
    "--insecure-http",
    is_flag=True,
    help=f"Send the token over unencrypted HTTP {SETTINGS['insecure_http'].hint}.",
)
ca_bundle_option = click.option(
    "--ca-bundle",
    metavar="FILE",
    help=f"CA certificates to trust {SETTINGS['ca_bundle'].hint}.",
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that call the API: endpoint, token and encryption."""
    for option in (ca_bundle_option, insecure_option, token_command_option, endpoint_option):
        command = option(command)
    return command


def complete_workspaces(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the workspaces in the destination that start with a text, for the shell."""
    from tower_etl.warehouse.status import query_destination  # noqa: PLC0415 imports duckdb

    try:
        config = destination_config(
            ctx.params.get("destination"), ctx.params.get("path"), exists=True
        )
        rows = query_destination(
            config, lambda query: query("SELECT DISTINCT workspace FROM stg_runs"), ["stg_runs"]
        )
    except Exception:  # noqa: BLE001 a shell has no place for messages
        return []
    return sorted(name for (name,) in rows if name.startswith(incomplete))


scope_since_option = click.option(
    "--since",
    metavar="TIME",
    help="Only runs submitted at or after this time: ISO 8601, or an age such as 30d.",
)
scope_until_option = click.option(
    "--until",
    metavar="TIME",
    help="Only runs submitted before this time: ISO 8601, or an age such as 12h.",
)
scope_workspace_option = click.option(
    "--workspace",
    "workspaces",
    metavar="ORG/NAME|ID",
    multiple=True,
    shell_complete=complete_workspaces,
    help="Only runs of this workspace, or `personal`; `*` and `?` allowed; may be repeated.",
)
user_option = click.option(
    "--user",
    "users",
    metavar="NAME",
    multiple=True,
    help="Only runs of this user; `*` and `?` allowed; may be repeated.",
)
status_option = click.option(
    "--status",
    "statuses",
    metavar="STATUS",
    multiple=True,
    help="Only runs with this status, such as FAILED; may be repeated.",
)


prices_option = click.option(
    "--prices",
    metavar="FILE",
    help="Price every task by this price list instead of its cost (what-if analysis).",
)


cost_source_option = click.option(
    "--cost-source",
    type=click.Choice(["platform", "bill"]),
    default="platform",
    show_default=True,
    help="Source of the costs: the platform's estimate, or the bill, for runs with bill lines.",
)


def scope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that filter the runs of a view or a report."""
    for option in (scope_workspace_option, scope_until_option, scope_since_option):
        command = option(command)
    return command


def read_scope(
    since: str | None,
    until: str | None,
    *,
    prices: str | None = None,
    cost_source: str = "platform",
    **names: tuple[str, ...],
) -> RunFilter:
    """Return the filter of runs for a view or a report.

    Args:
        since: Value of `--since`.
        until: Value of `--until`.
        prices: Value of `--prices`.
        cost_source: Value of `--cost-source`.
        names: Names by attribute of `RunFilter`: workspaces, pipelines, users, statuses.

    Raises:
        ConfigurationError: A time is invalid, the period is empty, a name is not valid text, or
            both the price list and the bill are to replace the costs.
    """
    from tower_etl.warehouse.filters import RunFilter  # noqa: PLC0415 imports duckdb

    if prices and cost_source == "bill":
        msg = "--prices and --cost-source bill both replace the costs: expected one of them."
        raise ConfigurationError(msg)
    for name in chain.from_iterable(names.values()):
        _check_text(name)
    after = parse_user_timestamp(since, "--since") if since else None
    before = parse_user_timestamp(until, "--until") if until else None
    if after and before and after > before:
        msg = f"--since {since} is after --until {until}. Swap the two."
        raise ConfigurationError(msg)
    return RunFilter(
        since=after,
        until=before,
        prices=find_prices(prices),
        billed=cost_source == "bill",
        **names,
    )


def find_prices(flag: str | None) -> Path | None:
    """Return the price list of `--prices`, or None without the option."""
    return Path(flag).expanduser() if flag else None


def _check_text(name: str) -> None:
    """Reject a name with undecodable bytes, which SQL cannot contain."""
    try:
        name.encode()
    except UnicodeEncodeError:
        msg = f"The name {name!r} is not valid in the encoding of this terminal. Type it again."
        raise ConfigurationError(msg) from None


def read_sources() -> SettingSources:
    """Return the sources of settings without a flag."""
    return SettingSources(lookup=dlt_config_value)


def read_table_names(flag: str | None) -> tuple[str, ...]:
    """Return the names or patterns of tables of `--tables`, else of the configuration."""
    names = tuple(name.strip() for name in flag.split(",")) if flag is not None else ()
    return resolve_tables(names, read_sources())


def read_settings(**flags: Any) -> Settings:  # noqa: ANN401 passed by click by name
    """Return the settings of flags, environment and dlt's configuration.

    Raises:
        ConfigurationError: A value is invalid.
    """
    sources = read_sources()
    since, until = flags.get("since"), flags.get("until")
    return Settings(
        endpoint=resolve_endpoint(flags.get("endpoint"), sources),
        token=token_from_sources(sources, flags.get("token_command")),
        api_version=resolve_api_version(sources),
        allow_http=bool(flags.get("insecure_http")) or resolve_allow_http(sources),
        ca_bundle=resolve_ca_bundle(flags.get("ca_bundle"), sources),
        options=SyncOptions(
            workspaces=resolve_workspaces(tuple(flags.get("workspaces") or ()), sources),
            since=parse_user_timestamp(since, "--since") if since else None,
            until=parse_user_timestamp(until, "--until") if until else None,
            reconcile=bool(flags.get("reconcile")),
            tables=flags.get("tables") or frozenset(),
            accept_new_host=is_enabled(sources.get("server_moved")),
            reconcile_every=resolve_duration(sources, "reconcile_hours", _HOUR, 24 * _HOUR),
            open_run_max_age=resolve_duration(sources, "give_up_days", 24 * _HOUR, 30 * 24 * _HOUR),
        ),
        http=resolve_http(flags.get("rate"), flags.get("share"), sources),
        package_limits=resolve_package_limits(sources),
        privacy=resolve_privacy(
            sources.get,
            redact=flags.get("redact"),
            excluded=flags.get("excluded") or (),
            hashed=flags.get("hashed") or (),
        ),
    )


def file_or_lake(
    destination: str | None,
    path: str | None,
    feature: str,
    kinds: tuple[str, ...] = ("duckdb", "parquet", "delta", "iceberg"),
) -> str:
    """Return the path of the configured destination, which must be of some types.

    Args:
        destination: Type of `--destination`.
        path: Path of `--path`.
        feature: Name of the feature that reads the path, for the message.
        kinds: Accepted types.

    Raises:
        ConfigurationError: The destination is of another type.
    """
    config = destination_config(destination, path, exists=True)
    if config.kind not in kinds:
        msg = (
            f"{feature} is not available for {config.kind}: expected --destination "
            f"{' or '.join(kinds)}. `tower-etl query` and psql read the views of PostgreSQL."
        )
        raise ConfigurationError(msg)
    return config.path


def destination_config(
    destination: str | None, path: str | None, *, exists: bool = False
) -> DestinationConfig:
    """Return the destination of flags, environment and dlt's configuration.

    A command that only reads sets `exists`: the URL of a bucket or database is then enough.

    Raises:
        ConfigurationError: The type is unknown, or the path is unusable.
    """
    from tower_etl.destinations import config  # noqa: PLC0415 imports pyarrow

    return config.resolve_destination(destination, path, read_sources(), exists=exists)
