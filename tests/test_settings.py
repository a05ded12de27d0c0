"""Settings: precedence of the sources, parsing, and refused values."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.cli.options import read_settings
from tower_etl.config.catalog import SETTINGS, is_enabled, list_misspelt, render_table, update_page
from tower_etl.config.credentials import parse_token, resolve_token
from tower_etl.config.resolver import (
    SettingSources,
    parse_user_timestamp,
    resolve_endpoint,
    resolve_http,
    resolve_package_limits,
    resolve_tables,
    resolve_workspaces,
    state_dir,
)
from tower_etl.config.settings import (
    DEFAULT_ENDPOINT,
    HttpSettings,
    PackageLimits,
    Settings,
    Token,
)
from tower_etl.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[1]
SECRET = "eyJ0aWQiOiAxfS5zZWNyZXQ="

STATE = {"XDG_STATE_HOME": "/state"}


def make_sources(environ: dict[str, str] | None = None, **configured: str) -> SettingSources:
    """Return sources with these environment variables, and dlt's configuration as keywords."""
    return SettingSources(environ or {}, configured.get)


# --- precedence -------------------------------------------------------------------------------


def test_the_environment_overrides_dlt_configuration() -> None:
    """A blank variable counts as not set."""
    environ = {"TOWER_ACCESS_TOKEN": " from-env ", "TOWER_API_ENDPOINT": "  "}
    sources = make_sources(environ, access_token="from-dlt", endpoint="https://dlt")

    assert resolve_token(sources).get_secret_value() == "from-env"
    assert resolve_endpoint(None, sources) == "https://dlt"


def test_a_flag_overrides_the_environment() -> None:
    environ = {"TOWER_API_ENDPOINT": "https://env", "TOWER_WORKSPACE_ID": "1"}
    sources = make_sources(environ, endpoint="https://dlt", workspace_id="2")

    assert resolve_endpoint("https://flag/", sources) == "https://flag"
    assert resolve_workspaces(("acme/lab", "7"), sources) == ("acme/lab", "7")


@pytest.mark.parametrize(
    ("environ", "configured", "endpoint", "workspaces"),
    [
        ({"TOWER_API_ENDPOINT": "https://env/", "TOWER_WORKSPACE_ID": "1"}, {}, "https://env", "1"),
        ({}, {"endpoint": "https://dlt", "workspace_id": "2"}, "https://dlt", "2"),
        ({}, {}, DEFAULT_ENDPOINT, None),
    ],
)
def test_without_flags_environment_then_dlt_then_default_is_used(
    environ: dict[str, str], configured: dict[str, str], endpoint: str, workspaces: str | None
) -> None:
    sources = make_sources(environ, **configured)

    assert resolve_endpoint(None, sources) == endpoint
    assert resolve_workspaces((), sources) == ((workspaces,) if workspaces else ())


def test_the_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWER_ACCESS_TOKEN", "from-process")

    assert resolve_token(SettingSources()).get_secret_value() == "from-process"


def test_the_state_folder_follows_xdg_state_home_or_the_home_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    assert state_dir(make_sources({"XDG_STATE_HOME": "/state"})) == Path("/state")
    assert state_dir(make_sources()) == Path("/home/ada/.local/state")


# --- the token ----------------------------------------------------------------------------------


def test_a_missing_token_is_reported_with_the_places_to_set_it() -> None:
    with pytest.raises(ConfigurationError, match=r"set TOWER_ACCESS_TOKEN .*secrets\.toml"):
        resolve_token(make_sources({"TOWER_ACCESS_TOKEN": " "}))


@pytest.mark.parametrize("value", [f"{SECRET} {SECRET}", f"{SECRET}\nx", f"é{SECRET}", "a\x00b"])
def test_an_invalid_token_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_token(make_sources({"TOWER_ACCESS_TOKEN": value}))

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_token_is_refused(value: str) -> None:
    """An empty file may be the source of the token."""
    with pytest.raises(ConfigurationError):
        parse_token(value)


def test_a_trailing_line_end_is_stripped_from_a_token() -> None:
    """A token read from a file usually ends with a line end."""
    assert parse_token(f"{SECRET}\r\n").get_secret_value() == SECRET


def test_a_token_is_masked_in_every_text_form() -> None:
    """It has no `__dict__` either, so that tools that dump attributes do not find it."""
    token = Token(SECRET)
    settings = Settings("https://host", token)

    shown = [repr(token), str(token), f"{token}", f"{token!r}", repr(settings), str([token])]

    assert [text for text in shown if SECRET in text] == []
    assert not hasattr(token, "__dict__")


def test_a_token_fingerprint_is_stable_and_does_not_reveal_the_token() -> None:
    digest = Token(SECRET).fingerprint()

    assert digest == Token(SECRET).fingerprint() != Token(SECRET + "x").fingerprint()
    assert (len(digest), int(digest, 16) > 0) == (16, True)
    assert SECRET not in digest


# --- the endpoint -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "endpoint"),
    [
        ("https://api.cloud.seqera.io", "https://api.cloud.seqera.io"),
        ("https://api.tower.nf/", "https://api.tower.nf"),
        ("https://host/api//", "https://host/api"),
        ("http://localhost:8000/api", "http://localhost:8000/api"),
        ("http://[::1]:8000/api", "http://[::1]:8000/api"),
        ("  https://host/api\n", "https://host/api"),
        ("HTTPS://Host/api", "HTTPS://Host/api"),
    ],
)
def test_trailing_slashes_and_spaces_are_stripped_from_an_endpoint(
    given_: str, endpoint: str
) -> None:
    """The examples are of the cloud, the legacy cloud and self-hosted servers (API fact 12)."""
    assert resolve_endpoint(given_, make_sources()) == endpoint


@pytest.mark.parametrize(
    "value",
    [
        "tower.example.org",
        "localhost:8000/api",
        "//host/api",
        "ftp://host/api",
        "file:///etc/passwd",
        "https://",
        "https:///api",
        "https://host:port/api",
        "https://host:99999/api",
        "https://[::1/api",
        "https://ho st/api",
        "https://host/a pi",
        "https://host/api?x=1",
        "https://host/api?",
        "https://host/api#top",
        "https://host/api#",
        "https://ada@host/api",
        "https://ada:hidden@host/api",
        "https://:hidden@host/api",
        "https://@host/api",
    ],
)
@pytest.mark.parametrize("from_flag", [True, False])
def test_an_invalid_endpoint_is_refused_from_flag_and_environment(
    value: str, *, from_flag: bool
) -> None:
    """A password in the address is not shown."""
    sources = make_sources({} if from_flag else {"TOWER_API_ENDPOINT": value})

    with pytest.raises(
        ConfigurationError, match=r"Invalid API endpoint .* https://host/api"
    ) as caught:
        resolve_endpoint(value if from_flag else None, sources)

    assert "hidden" not in str(caught.value)


@given(
    value=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=30)
    | st.from_regex(r"https?://[!-~]{1,20}", fullmatch=True)
)
def test_any_text_is_an_endpoint_or_a_configuration_error(value: str) -> None:
    """A path can be appended to every accepted endpoint."""
    try:
        endpoint = resolve_endpoint(value, make_sources())
    except ConfigurationError:
        return
    assert endpoint.lower().startswith(("http://", "https://"))
    assert not endpoint.endswith("/")
    assert set(endpoint).isdisjoint(" \t\n?#@")


# --- the rate limit and the load packages ---------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "environ", "calls"),
    [
        (None, {}, HttpSettings().calls_per_second),
        ("10", {"TOWER_ETL_RATE": "5"}, 10.0),
        (None, {"TOWER_ETL_RATE": "0.5"}, 0.5),
        ("none", {}, None),
        ("None", {}, None),
    ],
)
def test_a_rate_is_a_number_or_none(
    flag: str | None, environ: dict[str, str], calls: float | None
) -> None:
    """Self-hosted servers may have another rate limit, or none (API fact 10)."""
    assert resolve_http(flag, None, make_sources(environ)).calls_per_second == calls


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "fast", "1/s"])
def test_an_invalid_rate_is_refused_with_an_example(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"for example 10\), or `none`"):
        resolve_http(value, None, make_sources())


def test_the_default_rate_is_the_whole_limit_of_the_platform() -> None:
    """The rate limit is 20 calls per second (API fact 10), shared by the syncs of this machine."""
    http_settings = resolve_http(None, None, make_sources(STATE))

    assert (http_settings.calls_per_second, http_settings.rate_limit_share) == (20.0, 1.0)
    assert http_settings.rate_limit_store == Path("/state/tower-etl/budget")


@pytest.mark.parametrize(
    ("flag", "environ", "share"),
    [
        ("0.5", {}, 0.5),
        ("25%", {"TOWER_ETL_BUDGET_SHARE": "1"}, 0.25),
        (None, {"TOWER_ETL_BUDGET_SHARE": "1"}, 1.0),
    ],
)
def test_a_rate_limit_share_is_a_fraction_or_a_percentage(
    flag: str | None, environ: dict[str, str], share: float
) -> None:
    """The rest of the rate limit is left to other clients."""
    assert resolve_http(None, flag, make_sources(environ)).rate_limit_share == share


@pytest.mark.parametrize("value", ["0", "-0.5", "1.5", "101%", "%", "half", "nan"])
def test_an_invalid_rate_limit_share_is_refused_with_an_example(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"for example 0\.5 or 50%"):
        resolve_http(None, value, make_sources())


@pytest.mark.parametrize(
    ("value", "window"),
    [
        ("machine", Path("/state/tower-etl/budget")),
        ("process", None),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_the_rate_limit_store_is_a_file_memory_or_redis(
    value: str, window: Path | str | None
) -> None:
    """The machine shares a file, a process keeps its own memory, and hosts share a Redis."""
    sources = make_sources(STATE | {"TOWER_ETL_BUDGET": value})

    assert resolve_http(None, None, sources).rate_limit_store == window


def test_the_password_of_the_redis_address_is_never_shown() -> None:
    """Neither the representation of the settings nor an error message contains it."""
    address = "redis://:pass-word@host:6379/0"
    with pytest.raises(ConfigurationError) as caught:
        resolve_http(None, None, make_sources({"TOWER_ETL_BUDGET": f"http{address}"}))

    shown = repr(resolve_http(None, None, make_sources({"TOWER_ETL_BUDGET": address})))
    assert "pass-word" not in f"{shown} {caught.value}"


def test_package_limits_come_from_environment_then_dlt_then_default() -> None:
    environ = {"TOWER_ETL_PACKAGE_ROWS": "7"}

    packages = resolve_package_limits(
        make_sources(environ, package_rows="8", package_seconds="0.5")
    )

    assert packages == PackageLimits(max_rows=7, max_seconds=0.5)
    assert resolve_package_limits(make_sources()) == PackageLimits()


@pytest.mark.parametrize("name", ["package_rows", "package_seconds"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "nan"])
def test_an_invalid_package_limit_is_refused(name: str, value: str) -> None:
    """With a limit of 0, a load package would never be completed."""
    with pytest.raises(ConfigurationError):
        resolve_package_limits(make_sources(None, **{name: value}))


# --- timestamps ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T08:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        (" 2026-01-31 08:00:00.5 ", datetime(2026, 1, 31, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T08:00:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-01T00:30:00+01:00", datetime(2025, 12, 31, 23, 30, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_converted_to_utc(text: str, moment: datetime) -> None:
    """A timestamp without an offset is taken as UTC."""
    parsed = parse_user_timestamp(text, "--since")

    assert (parsed, parsed.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "31.01.2026", "2026-02-30", "2026-01-31T25:00", "0001-01-01T00:00+05:00"],
)
def test_an_invalid_timestamp_is_refused_with_flag_and_example(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_user_timestamp(text, "--until")

    assert str(caught.value).startswith(f"Invalid --until {text!r}: expected an ISO 8601 date")
    assert "2026-01-31T08:00:00Z" in str(caught.value)


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_an_isoformat_timestamp_is_parsed_back_unchanged(moment: datetime) -> None:
    """`tower_source` accepts datetimes and formats them this way."""
    assert parse_user_timestamp(moment.isoformat(), "since") == moment


# --- lists of the configuration ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tasks", ("tasks",)),
        ("tasks, team*", ("tasks", "team*")),
        ('["acme/lab","7"]', ("acme/lab", "7")),
        ("['acme/lab', 7]", ("acme/lab", "7")),
        ("", ()),
    ],
)
def test_a_list_is_read_from_environment_or_dlt_configuration(
    value: str, expected: tuple[str, ...]
) -> None:
    """It is comma-separated, or the array that dlt passes as text. Flags override both."""
    assert resolve_tables((), make_sources({"TOWER_ETL_TABLES": value})) == expected
    assert resolve_tables((), make_sources(tables=value)) == expected
    assert resolve_workspaces((), make_sources(workspaces=value)) == expected
    assert resolve_tables(("labels",), make_sources(tables=value)) == ("labels",)


def test_tower_workspace_id_overrides_the_list_of_workspaces() -> None:
    """Users of the platform already have `TOWER_WORKSPACE_ID` set."""
    sources = make_sources({"TOWER_WORKSPACE_ID": "7"}, workspaces="acme/*")
    assert resolve_workspaces((), sources) == ("7",)


def test_the_readme_lists_all_settings_and_existing_flags() -> None:
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert update_page(page) == page, "make docs"
    assert render_table() in page
    shown = (REPOSITORY / "docs" / "command-line.md").read_text(encoding="utf-8")
    for setting in SETTINGS.values():
        for flag in re.findall(r"--[\w-]+", setting.flag):
            assert flag in shown


def test_security_settings_are_not_read_from_dlt_configuration() -> None:
    """The configuration of dlt may come from the current folder.

    A blank variable counts as not set.
    """
    sources = SettingSources({"TOWER_ETL_RATE": " ", "TOWER_ETL_DEBUG": "1"}, lookup=str.upper)
    assert sources.get("rate") == "RATE"
    assert sources.get("debug") == "1"
    for name in ("token_command", "keyring", "insecure_http", "seeds", "ca_bundle"):
        assert sources.get(name) is None


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TOWER_ETL_EXCLUDES", "TOWER_ETL_EXCLUDE"),
        ("TOWER_ETL_HASH_COLUMNS", "TOWER_ETL_HASH"),
        ("TOWER_ETL_ENDPOINT", "TOWER_API_ENDPOINT"),
    ],
)
def test_a_misspelt_variable_is_reported_without_its_value(variable: str, meant: str) -> None:
    (message,) = list_misspelt({variable: SECRET, meant: SECRET})
    assert message == f"{variable} is not a setting and is ignored. Did you mean {meant}?"


def test_known_and_other_variables_are_not_reported() -> None:
    names = [setting.env_name for setting in SETTINGS.values()]
    assert (
        list_misspelt(dict.fromkeys([*names, "TOWER_ETL_SHARED", "TOWER_ORG", "PATH"], "1")) == []
    )


@pytest.mark.parametrize(
    ("value", "enabled"),
    [("1", True), ("Yes", True), (" true ", True), ("0", False), ("no", False), (None, False)],
)
def test_an_on_off_setting_is_on_with_the_usual_words_only(
    value: str | None, *, enabled: bool
) -> None:
    assert is_enabled(value) is enabled


@pytest.mark.parametrize(("value", "accepted"), [("1", True), ("0", False), ("false", False)])
def test_a_server_of_another_host_is_accepted_only_if_the_setting_is_on(
    monkeypatch: pytest.MonkeyPatch, value: str, *, accepted: bool
) -> None:
    monkeypatch.setenv("TOWER_ACCESS_TOKEN", SECRET)
    monkeypatch.setenv("TOWER_ETL_SERVER_MOVED", value)
    assert read_settings().options.accept_new_host is accepted
