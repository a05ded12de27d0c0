"""The dlt source: one resource per table, fed by one sync."""

from __future__ import annotations

import fnmatch
import logging
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING

from tower_etl.api import TowerClient
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.configuration import (
    Sources,
    check_token,
    parse_moment,
    read_api_version,
    read_endpoint,
    read_pacing,
    read_tables,
    read_workspaces,
)
from tower_etl.credentials import find_token
from tower_etl.encryption import read_ca_bundle, read_insecure_http
from tower_etl.errors import ServerFaultError, UsageError
from tower_etl.http import open_transport
from tower_etl.privacy import read_privacy
from tower_etl.settings import Packages, Request, Settings
from tower_etl.source.config import find_dlt_value
from tower_etl.source.dialects import adapt_dialects
from tower_etl.source.diary import Diary
from tower_etl.source.fetcher import Fetcher
from tower_etl.source.preflight import run_preflight
from tower_etl.source.resources import find_dialect, package_source
from tower_etl.source.session import Session
from tower_etl.tables import ON_DEMAND, TABLES, Treatment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from dlt.extract import DltSource

    from tower_etl.clock import Clock
    from tower_etl.http import Meter
    from tower_etl.settings import Pacing
    from tower_etl.source.preflight import Reach

VERSION = version("tower-etl")
USER_AGENT = f"tower-etl/{VERSION} (+https://pypi.org/project/tower-etl)"
_ALWAYS = frozenset({"workflows", "workflow_labels", "labels", "sync_runs"})
_EVERYTHING = Packages(max_rows=2**63, max_seconds=float("inf"))


def tower_source(  # noqa: PLR0913 each is a setting that users of the source have
    workspaces: Iterable[str | int] = (),
    *,
    endpoint: str | None = None,
    access_token: str | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    reconcile: bool = False,
    tables: Iterable[str] = (),
    pacing: Pacing | None = None,
    exclude: Iterable[str] = (),
    hash: Iterable[str] = (),  # noqa: A002 the name that the flag and the configuration have
    redact: bool | None = None,
) -> DltSource:
    """The run history of a Seqera Platform, for a pipeline of your own.

    One resource per table. Each `pipeline.run` brings what is new since the last one: runs
    submitted after the cursor, runs that were still open, and once a day a comparison with
    everything that the platform lists. The cursor is kept in dlt's state.

    Args:
        workspaces: `ORG/NAME` (with `*` and `?`) or numeric ids; empty for `TOWER_WORKSPACE_ID`,
            or else all that the token sees, the personal one included.
        endpoint: API endpoint; else `TOWER_API_ENDPOINT`, dlt's configuration, Seqera's cloud.
        access_token: The token; else `TOWER_ACCESS_TOKEN`, `TOWER_ETL_TOKEN_COMMAND`,
            `TOWER_ETL_KEYRING`, or `access_token` under
            `[sources.tower_etl.tower]` in `.dlt/secrets.toml`.
        since: Earliest submission, ISO 8601 or a datetime (UTC where it has no zone).
        until: Latest submission, likewise.
        reconcile: List everything now, whatever the time since it was last done.
        tables: Names of the tables wanted, or patterns; `!name` leaves one out. Empty for `tables`
            of the configuration, or else all but those that are on demand.
        pacing: How fast to call, and how patiently; else `rate` of the configuration.
        exclude: Columns to leave empty: `table.column`, or `column` for all tables.
        hash: Columns whose values are replaced by digests, keyed by `TOWER_ETL_HASH_SALT`.
        redact: Whether secrets are taken out of text; None for the configuration, or else yes.

    Raises:
        UsageError: An argument is not usable.
        ApiError: While the pipeline runs: the platform cannot be reached, refuses the token, or
            fails for every workspace. Those that fail beside others are logged as warnings.

    Example:
        >>> history = dlt.destinations.duckdb("history.duckdb")  # not tower.duckdb: see the README
        >>> pipeline = dlt.pipeline("tower", destination=history, dataset_name="tower")
        >>> pipeline.run(tower_source(workspaces=["acme/research"]), loader_file_format="parquet")
    """
    sources = Sources(lookup=find_dlt_value)
    token = check_token(access_token) if access_token else find_token(sources)
    del access_token  # a traceback with the variables of its frames must not show it
    settings = Settings(
        endpoint=read_endpoint(endpoint, sources),
        token=token,
        api_version=read_api_version(sources),
        insecure_http=read_insecure_http(sources),
        ca_bundle=read_ca_bundle(None, sources),
        request=Request(
            workspaces=read_workspaces(tuple(str(name) for name in workspaces), sources),
            since=_moment(since, "since"),
            until=_moment(until, "until"),
            reconcile=reconcile,
            tables=pick_tables(read_tables(tuple(tables), sources)),
        ),
        pacing=pacing or read_pacing(None, None, sources),
        privacy=read_privacy(sources.find, redact=redact, excluded=exclude, hashed=hash),
    )
    specs = Treatment.plan(settings.privacy, TABLES).specs

    def open_lazily() -> Session:
        client = open_client(settings)
        reach = run_preflight(client, settings.request.workspaces)
        return open_session(settings, client, reach, dialect=find_dialect())

    adapt_dialects()
    wanted = {name: specs[name] for name in settings.request.tables}
    return package_source(open_lazily, wanted, _EVERYTHING, _complain, whole=True)


def _complain(session: Session) -> None:
    """Say which workspaces failed; with none that succeeded there is nothing to load.

    Raises:
        ApiError: All of them failed.
    """
    reasons = [str(space.error) for space in session.outcome.failed]
    for reason in (*reasons, *session.outcome.warnings):
        logging.getLogger("dlt").warning(reason)
    if session.outcome.status == "failed":
        raise ServerFaultError("; ".join(reasons))


def pick_tables(names: Iterable[str]) -> frozenset[str]:
    """Return the tables named, and those that a sync cannot do without.

    Args:
        names: Names, or patterns with `*` and `?`; with `!` before it, a name or pattern leaves
            tables out. Without any other name, all tables but those on demand are meant.

    Raises:
        UsageError: There is no such table, or a sync needs one that is to be left out.
    """
    asked = [name.strip() for name in names]
    found = {name: fnmatch.filter(TABLES, name.removeprefix("!")) for name in asked}
    if unknown := sorted(name for name, tables in found.items() if not tables):
        close = [hint for name in unknown for hint in get_close_matches(name, TABLES, n=2)]
        hint = f" Did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
        names = ", ".join(name or "without a name" for name in unknown)
        msg = f"No table {names}.{hint} There are: {', '.join(TABLES)}."
        raise UsageError(msg)
    wanted = {table for name in asked if not name.startswith("!") for table in found[name]}
    dropped = {table for name in asked if name.startswith("!") for table in found[name]}
    return _choose(wanted or TABLES.keys() - ON_DEMAND, dropped)


def _choose(wanted: AbstractSet[str], dropped: AbstractSet[str]) -> frozenset[str]:
    """The tables wanted, without those to be left out; datasets of launches come with launches.

    Raises:
        UsageError: A sync needs one of those that are to be left out.
    """
    if needed := sorted(dropped & _ALWAYS):
        msg = f"Cannot leave out {', '.join(needed)}: a sync needs these tables."
        raise UsageError(msg)
    if "launches" in dropped:
        wanted = wanted - {"launch_datasets"}
    launches = {"launches"} if "launch_datasets" in wanted else set()
    return frozenset((wanted | launches | _ALWAYS) - dropped)


def open_client(
    settings: Settings, clock: Clock = SYSTEM_CLOCK, meter: Meter | None = None
) -> TowerClient:
    """A client by the settings, that counts on the meter given."""
    return TowerClient(open_transport(settings, USER_AGENT, clock, meter))


def open_session(
    settings: Settings,
    client: TowerClient,
    reach: Reach,
    clock: Clock = SYSTEM_CLOCK,
    *,
    dialect: str = "",
) -> Session:
    """A sync of what preflight found.

    Args:
        settings: What is asked of which server.
        client: Asks it.
        reach: What preflight found.
        clock: Tells the time.
        dialect: SQL dialect of the destination, which may refuse some characters.

    Raises:
        UsageError: A column that is to be kept out is unknown, or needed.
    """
    fetcher = Fetcher(client, settings.request.tables, settings.pacing.workers)
    treatment = Treatment.plan(settings.privacy, TABLES, dialect)
    diary = Diary.begin(clock, VERSION)
    return Session(client, fetcher, reach, settings.request, diary, treatment)


def _moment(value: str | datetime | None, name: str) -> datetime | None:
    if value is None:
        return None
    return parse_moment(value if isinstance(value, str) else value.isoformat(), name)
