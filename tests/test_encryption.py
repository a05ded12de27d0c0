"""Encryption: the token is sent over TLS only, unless plain HTTP is allowed explicitly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.config.credentials import resolve_allow_http, resolve_ca_bundle
from tower_etl.config.resolver import SettingSources
from tower_etl.config.settings import Settings, Token
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = Token("let-me-in")


@pytest.mark.parametrize(
    "endpoint",
    [
        *("http://tower.example.org/api", "http://10.0.0.7:8000/api", "http://[fd00::1]/api"),
        *("http://localhost.example.org/api", "http://127.0.0.1.example.org/api"),
        *("http://0.0.0.0/api", "http://2130706433/api"),
    ],
)
def test_plain_http_is_refused_unless_allowed(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not encrypted.*--insecure-http"):
        Settings(endpoint, TOKEN)

    assert Settings(endpoint, TOKEN, allow_http=True).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        *("https://tower.example.org/api", "http://localhost:8000/api", "http://127.0.0.1/api"),
        *("http://127.8.9.1:80/api", "http://[::1]:8000/api", "http://LOCALHOST/api"),
    ],
)
def test_https_and_plain_http_to_loopback_are_accepted(endpoint: str) -> None:
    """Traffic to the loopback interface does not leave the machine."""
    assert not Settings(endpoint, TOKEN).allow_http


@pytest.mark.parametrize(
    ("value", "allowed"),
    [("1", True), ("true", True), ("YES", True), ("", False), ("0", False), ("no", False)],
)
def test_the_environment_but_not_dlt_configuration_may_allow_plain_http(
    value: str, *, allowed: bool
) -> None:
    """The configuration of dlt comes from the current folder, which anybody may have written."""
    sources = SettingSources(environ={"TOWER_ETL_INSECURE_HTTP": value}, lookup=lambda _: "1")

    assert resolve_allow_http(sources) is allowed
    assert not resolve_allow_http(SettingSources(environ={}, lookup=lambda _: "1"))


def test_a_ca_bundle_is_read_from_the_flag_then_standard_variables(tmp_path: Path) -> None:
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    files = {name: tmp_path / name for name in ("flag", *names)}
    for file in files.values():
        file.touch()
    variables = {name: str(files[name]) for name in names}

    assert resolve_ca_bundle(str(files["flag"]), SettingSources(environ=variables)) == files["flag"]
    for name in names:
        assert resolve_ca_bundle(None, SettingSources(environ=variables)) == files[name]
        del variables[name]
    assert resolve_ca_bundle(None, SettingSources(environ=variables)) is None


def test_a_missing_ca_bundle_is_refused() -> None:
    """Otherwise every call would fail, each with a different message."""
    with pytest.raises(ConfigurationError, match=r"No CA bundle at /nonexistent\.pem"):
        resolve_ca_bundle("/nonexistent.pem", SettingSources(environ={}))
