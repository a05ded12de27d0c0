"""Settings: where each comes from, and what is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.config.catalog import SETTINGS, render_table, update_page
from tower_etl.config.resolver import (
    SettingSources,
    parse_token,
    parse_user_timestamp,
    resolve_endpoint,
    resolve_http,
    resolve_package_limits,
    resolve_tables,
    resolve_token,
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
    """Make an environment, and dlt's configuration as keyword arguments."""
    return SettingSources(environ or {}, configured.get)


# --- precedence -------------------------------------------------------------------------------


def test_the_environment_speaks_before_the_configuration() -> None:
    """And a blank variable is none."""
    environ = {"TOWER_ACCESS_TOKEN": " from-env ", "TOWER_API_ENDPOINT": "  "}
    sources = make_sources(environ, access_token="from-dlt", endpoint="https://dlt")

    assert resolve_token(sources).get_secret_value() == "from-env"
    assert resolve_endpoint(None, sources) == "https://dlt"


def test_a_flag_speaks_before_the_environment() -> None:
    """It was given last."""
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
def test_without_flags_the_next_source_counts(
    environ: dict[str, str], configured: dict[str, str], endpoint: str, workspaces: str | None
) -> None:
    """Environment, dlt's configuration, default."""
    sources = make_sources(environ, **configured)

    assert resolve_endpoint(None, sources) == endpoint
    assert resolve_workspaces((), sources) == ((workspaces,) if workspaces else ())


def test_the_environment_is_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless another is passed in."""
    monkeypatch.setenv("TOWER_ACCESS_TOKEN", "from-process")

    assert resolve_token(SettingSources()).get_secret_value() == "from-process"


def test_the_state_lives_where_the_desktop_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or in the home folder."""
    monkeypatch.setenv("HOME", "/home/ada")

    assert state_dir(make_sources({"XDG_STATE_HOME": "/state"})) == Path("/state")
    assert state_dir(make_sources()) == Path("/home/ada/.local/state")


# --- the token ----------------------------------------------------------------------------------


def test_without_a_token_the_message_says_how_to_get_one() -> None:
    """And where to put it."""
    with pytest.raises(ConfigurationError, match=r"set TOWER_ACCESS_TOKEN .*secrets\.toml"):
        resolve_token(make_sources({"TOWER_ACCESS_TOKEN": " "}))


@pytest.mark.parametrize("value", [f"{SECRET} {SECRET}", f"{SECRET}\nx", f"é{SECRET}", "a\x00b"])
def test_what_cannot_be_a_token_is_refused_unseen(value: str) -> None:
    """The message does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        resolve_token(make_sources({"TOWER_ACCESS_TOKEN": value}))

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_token_is_refused(value: str) -> None:
    """It may come from an empty file."""
    with pytest.raises(ConfigurationError):
        parse_token(value)


def test_a_line_end_is_no_part_of_a_token() -> None:
    """Files end with one."""
    assert parse_token(f"{SECRET}\r\n").get_secret_value() == SECRET


def test_a_token_shows_itself_to_nobody() -> None:
    """Neither alone, nor within the settings, nor in a formatted text."""
    token = Token(SECRET)
    settings = Settings("https://host", token)

    shown = [repr(token), str(token), f"{token}", f"{token!r}", repr(settings), str([token])]

    assert [text for text in shown if SECRET in text] == []
    assert not hasattr(token, "__dict__")


def test_the_digest_names_a_token_without_giving_it_away() -> None:
    """Always the same, different for another, and of sixteen hex digits."""
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
def test_an_endpoint_is_taken_without_its_trailing_slash(given_: str, endpoint: str) -> None:
    """Cloud, legacy and self-hosted ones (API fact 12)."""
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
def test_what_is_no_endpoint_is_refused(value: str, *, from_flag: bool) -> None:
    """Wherever it came from; a password in it is not shown."""
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
def test_any_text_is_an_endpoint_or_a_usage_error(value: str) -> None:
    """And an endpoint can be prolonged by a path."""
    try:
        endpoint = resolve_endpoint(value, make_sources())
    except ConfigurationError:
        return
    assert endpoint.lower().startswith(("http://", "https://"))
    assert not endpoint.endswith("/")
    assert set(endpoint).isdisjoint(" \t\n?#@")


# --- the pace -------------------------------------------------------------------------------------


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
    """Servers of one's own may have another limit, or none (API fact 10)."""
    assert resolve_http(flag, None, make_sources(environ)).calls_per_second == calls


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "fast", "1/s"])
def test_what_is_no_rate_is_refused(value: str) -> None:
    """The message says what to give."""
    with pytest.raises(ConfigurationError, match=r"for example 10\), or `none`"):
        resolve_http(value, None, make_sources())


def test_the_default_pace_is_the_limit() -> None:
    """20 calls a second (API fact 10), all of them, shared by the syncs of this machine."""
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
def test_a_share_is_a_part_or_a_percentage(
    flag: str | None, environ: dict[str, str], share: float
) -> None:
    """The rest is left to the team's other tools."""
    assert resolve_http(None, flag, make_sources(environ)).rate_limit_share == share


@pytest.mark.parametrize("value", ["0", "-0.5", "1.5", "101%", "%", "half", "nan"])
def test_what_is_no_share_is_refused(value: str) -> None:
    """The message says what to give."""
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
def test_the_budget_is_shared_with_whom_the_configuration_says(
    value: str, window: Path | str | None
) -> None:
    """By the machine, by nobody, or by all who use one Redis."""
    sources = make_sources(STATE | {"TOWER_ETL_BUDGET": value})

    assert resolve_http(None, None, sources).rate_limit_store == window


def test_the_address_of_the_budget_shows_its_password_nowhere() -> None:
    """Neither in the settings, nor where it is refused."""
    address = "redis://:pass-word@host:6379/0"
    with pytest.raises(ConfigurationError) as caught:
        resolve_http(None, None, make_sources({"TOWER_ETL_BUDGET": f"http{address}"}))

    shown = repr(resolve_http(None, None, make_sources({"TOWER_ETL_BUDGET": address})))
    assert "pass-word" not in f"{shown} {caught.value}"


def test_packages_are_as_large_as_configured() -> None:
    """Rows and seconds; the default where there is nothing."""
    environ = {"TOWER_ETL_PACKAGE_ROWS": "7"}

    packages = resolve_package_limits(
        make_sources(environ, package_rows="8", package_seconds="0.5")
    )

    assert packages == PackageLimits(max_rows=7, max_seconds=0.5)
    assert resolve_package_limits(make_sources()) == PackageLimits()


@pytest.mark.parametrize("name", ["package_rows", "package_seconds"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "nan"])
def test_what_is_no_size_of_a_package_is_refused(name: str, value: str) -> None:
    """A package of nothing would never end."""
    with pytest.raises(ConfigurationError):
        resolve_package_limits(make_sources(None, **{name: value}))


# --- moments ------------------------------------------------------------------------------------


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
def test_a_moment_is_read_as_utc(text: str, moment: datetime) -> None:
    """Without an offset it is UTC already."""
    parsed = parse_user_timestamp(text, "--since")

    assert (parsed, parsed.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "31.01.2026", "2026-02-30", "2026-01-31T25:00", "0001-01-01T00:00+05:00"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """The message names the flag, shows the text and gives an example."""
    with pytest.raises(ConfigurationError) as caught:
        parse_user_timestamp(text, "--until")

    assert str(caught.value).startswith(f"Invalid --until {text!r}: expected an ISO 8601 date")
    assert "2026-01-31T08:00:00Z" in str(caught.value)


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_being_written(moment: datetime) -> None:
    """`tower_source` takes datetimes as well."""
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
def test_a_list_stands_in_a_variable_or_in_a_file(value: str, expected: tuple[str, ...]) -> None:
    """With commas, or as the array that dlt hands over as text; flags go first."""
    assert resolve_tables((), make_sources({"TOWER_ETL_TABLES": value})) == expected
    assert resolve_tables((), make_sources(tables=value)) == expected
    assert resolve_workspaces((), make_sources(workspaces=value)) == expected
    assert resolve_tables(("labels",), make_sources(tables=value)) == ("labels",)


def test_a_single_workspace_goes_before_a_list() -> None:
    """The name that users of the platform have already."""
    sources = make_sources({"TOWER_WORKSPACE_ID": "7"}, workspaces="acme/*")
    assert resolve_workspaces((), sources) == ("7",)


def test_the_readme_lists_the_settings() -> None:
    """Every setting, with a flag that a command has."""
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert update_page(page) == page, "make docs"
    assert render_table() in page
    shown = (REPOSITORY / "docs" / "command-line.md").read_text(encoding="utf-8")
    for setting in SETTINGS.values():
        for flag in re.findall(r"--[\w-]+", setting.flag):
            assert flag in shown


def test_what_a_folder_must_not_decide_is_not_in_its_configuration() -> None:
    """A blank variable is none; a value of the configuration counts for other settings alone."""
    sources = SettingSources({"TOWER_ETL_RATE": " ", "TOWER_ETL_DEBUG": "1"}, lookup=str.upper)
    assert sources.get("rate") == "RATE"
    assert sources.get("debug") == "1"
    for name in ("token_command", "keyring", "insecure_http", "seeds", "ca_bundle"):
        assert sources.get(name) is None
