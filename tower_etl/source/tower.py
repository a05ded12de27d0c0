"""The dlt source: one resource per table, fed by one sync."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence  # noqa: TC003 dlt reads the annotations
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.typing import TAnyDateTime, TSecretStrValue  # noqa: TC002 dlt reads the annotations
from dlt.extract import DltResource  # noqa: TC002 dlt reads the annotations

from tower_etl.config.catalog import list_misspelt
from tower_etl.config.credentials import (
    parse_token,
    resolve_allow_http,
    resolve_ca_bundle,
    token_from_sources,
)
from tower_etl.config.dlt_config import dlt_config_value
from tower_etl.config.resolver import (
    SettingSources,
    parse_user_timestamp,
    resolve_api_version,
    resolve_duration,
    resolve_endpoint,
    resolve_http,
    resolve_privacy,
    resolve_tables,
    resolve_workspaces,
    split_names,
)
from tower_etl.config.settings import Settings, SyncOptions
from tower_etl.errors import ServerError
from tower_etl.extract.discovery import discover
from tower_etl.schema import TABLES
from tower_etl.source.dialects import adapt_dialects
from tower_etl.source.resources import TableFeed
from tower_etl.source.session_setup import open_client, open_session, select_source_tables
from tower_etl.transform import ColumnPolicy

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.extract.session import SyncSession
    from tower_etl.source.extraction import Extraction

_dlt_logger = logging.getLogger("dlt")

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dlt.source(name="tower", section="tower_etl", max_table_nesting=0, root_key=False)
def tower_source(  # noqa: PLR0913 the settings of the source
    workspaces: str | int | Sequence[str | int] | None = dlt.config.value,
    *,
    access_token: TSecretStrValue | None = dlt.secrets.value,
    endpoint: str | None = dlt.config.value,
    since: TAnyDateTime | None = dlt.config.value,
    until: TAnyDateTime | None = dlt.config.value,
    reconcile: bool = False,
    tables: str | Sequence[str] | None = dlt.config.value,
    yield_rows: bool = False,
    rate: str | float | None = dlt.config.value,
    budget_share: str | float | None = dlt.config.value,
    give_up_days: float | None = dlt.config.value,
    reconcile_hours: float | None = dlt.config.value,
    exclude: str | Sequence[str] | None = dlt.config.value,
    hash: str | Sequence[str] | None = dlt.config.value,  # noqa: A002 the name of the option
    redact: str | bool | None = dlt.config.value,
    http_settings: Any = None,  # noqa: ANN401 HttpSettings, which dlt cannot resolve
) -> Iterator[DltResource]:
    """Provide the run history of a Seqera Platform as dlt resources, one per table.

    Each `pipeline.run` loads the changes since the last one: runs submitted after the cursor and
    runs that were open; once a day, a full listing is compared with the destination. The coverage
    of each table is stored in the state of its resource: a table that is selected later, dropped,
    refreshed or replaced is filled again. `run_in_packages` loads a long history in packages.

    Every argument may come from dlt's configuration, section `[sources.tower_etl.tower]`; lists may
    be comma-separated text. The environment variables `TOWER_ACCESS_TOKEN`, `TOWER_API_ENDPOINT`,
    `TOWER_WORKSPACE_ID` and `TOWER_ETL_*` are used if neither an argument nor dlt's configuration
    has a value.

    Args:
        workspaces: `ORG/NAME` (with `*` and `?`), numeric ids, or `personal`; by default all
            workspaces that the token sees, the personal one included.
        access_token: Token of the platform. By default `TOWER_ACCESS_TOKEN`,
            `TOWER_ETL_TOKEN_COMMAND` or `TOWER_ETL_KEYRING`.
        endpoint: API endpoint, by default that of Seqera Cloud.
        since: Earliest submission to load, ISO 8601 or a datetime (UTC if it has no time zone).
        until: Latest submission to load, in the formats of `since`.
        reconcile: Whether to reconcile now, regardless of the last reconciliation.
        tables: Names or patterns of the tables to select, like `with_resources`; `!name` excludes
            a table. By default all except on-demand tables.
        yield_rows: Whether resources yield rows, for `add_map` and `add_filter` on rows, instead of
            Arrow tables; this takes more CPU time.
        rate: Maximum API calls per second, 20 by default, or `none`.
        budget_share: Fraction of the rate that all syncs together may use, 1 by default.
        give_up_days: Age after which only reconciliations refresh open runs, 30 by default.
        reconcile_hours: Time between two reconciliations, 24 by default.
        exclude: Columns to leave empty: `table.column`, or `column` for all tables.
        hash: Columns whose values are replaced by digests, keyed by `TOWER_ETL_HASH_SALT`.
        redact: Whether secrets in text are masked, true by default; `emails` masks e-mail addresses
            too.
        http_settings: `HttpSettings` that replace `rate` and `budget_share`.

    Yields:
        Resources, which yield Arrow tables with JSON columns as text.

    Raises:
        ConfigurationError: An argument is invalid, or the destination cannot hold the tables.
        ApiError: While the pipeline runs: the platform cannot be reached, rejects the token, or
            fails for every workspace. Partial failures are logged as warnings.

    Example:
        >>> history = dlt.destinations.duckdb("history.duckdb")
        >>> pipeline = dlt.pipeline("tower", destination=history, dataset_name="tower")
        >>> run_in_packages(pipeline, tower_source(workspaces=["acme/research"]))
    """
    sources = SettingSources(lookup=dlt_config_value)
    for message in list_misspelt(sources.environ):
        _dlt_logger.warning(message)
    token = parse_token(access_token) if access_token else token_from_sources(sources)
    del access_token  # tracebacks with local variables must not show it
    settings = Settings(
        endpoint=resolve_endpoint(endpoint, sources),
        token=token,
        api_version=resolve_api_version(sources),
        allow_http=resolve_allow_http(sources),
        ca_bundle=resolve_ca_bundle(None, sources),
        options=SyncOptions(
            workspaces=resolve_workspaces(split_names(workspaces), sources),
            since=_timestamp(since, "since"),
            until=_timestamp(until, "until"),
            reconcile=reconcile,
            open_run_max_age=resolve_duration(
                sources, "give_up_days", _DAY, 30 * _DAY, give_up_days
            ),
            reconcile_every=resolve_duration(
                sources, "reconcile_hours", _HOUR, 24 * _HOUR, reconcile_hours
            ),
            tables=select_source_tables(resolve_tables(split_names(tables), sources)),
        ),
        http=http_settings or resolve_http(_as_text(rate), _as_text(budget_share), sources),
        privacy=resolve_privacy(sources.get, redact=redact, excluded=exclude, hashed=hash),
    )
    adapt_dialects()
    specs = ColumnPolicy.from_settings(settings.privacy, TABLES).specs
    feed = TableFeed(partial(_connect, settings), specs, _report_failures)
    yield from feed.make_resources(settings.options.tables, yield_rows=yield_rows)


def _connect(settings: Settings, extraction: Extraction) -> SyncSession:
    """Open a client, and a session for the selected tables."""
    options = replace(settings.options, tables=extraction.tables)
    selected = replace(settings, options=options)
    client = open_client(selected)
    discovery = discover(client, options.workspaces)
    return open_session(
        selected, client, discovery, limit=extraction.limit, dialect=extraction.dialect
    )


def _report_failures(session: SyncSession) -> None:
    """Log failures and warnings of a sync.

    Raises:
        ServerError: All workspaces failed.
    """
    reasons = [str(workspace.error) for workspace in session.sync_result.unsuccessful]
    for reason in (*reasons, *session.sync_result.warnings):
        _dlt_logger.warning(reason)
    if session.sync_result.status == "failed":
        raise ServerError("; ".join(reasons))


def _timestamp(value: Any, name: str) -> datetime | None:  # noqa: ANN401 any configured value
    if value is None:
        return None
    return parse_user_timestamp(value if isinstance(value, str) else value.isoformat(), name)


def _as_text(value: object) -> str | None:
    return None if value is None else str(value)
