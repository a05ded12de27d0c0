"""The cassette files are small, belong to a test, and contain no secrets or personal data."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cassettes.drift import read_shape
from tests.cassettes.live import list_drift
from tests.cassettes.scenarios import TOKEN
from tests.cassettes.vcr_format import CASSETTES
from tower_etl.api import endpoints
from tower_etl.api.endpoints import Endpoint

MOST_BYTES = 64_000
KNOWN_HOSTS = {"tower.test", "github.com"}  # the latter in addresses of public pipelines
FORBIDDEN = {
    "tokens": re.compile(rf"{TOKEN}|opens-nothing|\beyJ|Bearer (?!\*\*\*)|\bAKIA|\bgh[ops]_"),
    "e-mail addresses": re.compile(r"[^\s\"@]+@(?!tower\.test\b)[\w-]+\.\w+"),
    "real hosts": re.compile(r"localhost|seqera\.io|tower\.nf|amazonaws|\.internal\b|:\d{4,5}/"),
    "IP addresses": re.compile(r"\b(?!192\.0\.2\.1\b)\d{1,3}(\.\d{1,3}){3}\b"),
    "cookies": re.compile(r"cookie", re.IGNORECASE),
    "names": re.compile(r'"(userName|firstName|lastName)": "(?!(user|first|last)-\d+")'),
    "paths of a machine": re.compile(r"/(tmp|work|home)/(?!user-)"),
}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Return the texts of the committed cassettes by name."""
    paths = [path for path in sorted(CASSETTES.rglob("*.json")) if path.parent.name != "live"]
    return {path.relative_to(CASSETTES).as_posix(): path.read_text() for path in paths}


def list_exchanges(texts: dict[str, str]) -> list[dict[str, Any]]:
    """Return every request with its response."""
    return [pair for text in texts.values() for pair in json.loads(text)["interactions"]]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_cassettes_contain_no_sensitive_data(texts: dict[str, str], what: str) -> None:
    found = {name: FORBIDDEN[what].search(text) for name, text in texts.items()}
    assert {name: match[0] for name, match in found.items() if match} == {}


@pytest.mark.parametrize(
    ("what", "planted"),
    [
        ("tokens", f'"{TOKEN}"'),
        ("tokens", "Bearer abc"),
        ("e-mail addresses", "mail ada@example.org"),
        ("real hosts", "https://api.cloud.seqera.io/workflow"),
        ("real hosts", "http://host:8080/api"),
        ("IP addresses", "at 10.0.0.7:"),
        ("cookies", '"Set-Cookie"'),
        ("names", '"userName": "ada"'),
        ("paths of a machine", "/home/ada/x"),
    ],
)
def test_the_patterns_for_sensitive_data_match_planted_samples(what: str, planted: str) -> None:
    """A pattern that never matches would prove nothing."""
    assert FORBIDDEN[what].search(planted)


def test_cassettes_name_known_hosts_only(texts: dict[str, str]) -> None:
    """Calls went to `tower.test`, and bodies contain the addresses of public pipelines."""
    pattern = re.compile(r"(?<!s3)://([^/\"\s\\]+)")
    assert {host for text in texts.values() for host in pattern.findall(text)} == KNOWN_HOSTS


def test_cassettes_contain_only_the_headers_to_keep(texts: dict[str, str]) -> None:
    exchanges = list_exchanges(texts)
    asked = {name for exchange in exchanges for name in exchange["request"]["headers"]}
    said = {name for exchange in exchanges for name in exchange["response"]["headers"]}
    assert {"Accept", "Accept-Version", "Authorization"} == asked
    assert {"Content-Type", "Retry-After"} == said


def test_cassettes_are_small_enough_to_review(texts: dict[str, str]) -> None:
    assert {name: len(text) for name, text in texts.items() if len(text) > MOST_BYTES} == {}


def test_every_cassette_belongs_to_a_test(texts: dict[str, str]) -> None:
    """A renamed test must not leave its cassette behind."""
    folder = CASSETTES.parent / "tests" / "cassettes"
    orphans = [
        name
        for name in texts
        for module, _, test in [name.removesuffix(".json").partition("/")]
        if f"def test_{test.partition('-')[0]}(" not in (folder / f"test_{module}.py").read_text()
    ]
    assert orphans == []


def test_every_endpoint_of_the_client_has_a_recorded_response(texts: dict[str, str]) -> None:
    """A new endpoint fails here until `make record` has a scenario for it."""
    known = [found for found in vars(endpoints).values() if isinstance(found, Endpoint)]
    shapes = {e.path: re.sub(r"\{\w+\}", "[^/]+", f"/api{e.path}") for e in known}
    good = {
        urlsplit(exchange["request"]["uri"]).path
        for exchange in list_exchanges(texts)
        if exchange["response"]["status"] == 200 and "json" in exchange["response"]
    }
    bare = [path for path, shape in shapes.items() if not any(re.fullmatch(shape, g) for g in good)]
    assert (bare, len(known) >= 10) == ([], True)


def test_every_error_that_the_client_distinguishes_is_recorded(texts: dict[str, str]) -> None:
    """This includes HTML pages with status 200 and 502 instead of a JSON response."""
    answers = [exchange["response"] for exchange in list_exchanges(texts)]
    kinds = {(answer["status"], "text" in answer) for answer in answers}
    refusals = {(status, False) for status in (400, 401, 403, 404, 429, 500)}
    assert refusals | {(200, True), (502, True)} <= kinds


def test_the_sync_cassette_covers_the_endpoints_of_a_sync() -> None:
    """Recordings of a real server are compared with these endpoints."""
    known = read_shape((CASSETTES / "sync").glob("*.json"))
    wanted = {"/service-info", "/workflow", "/workflow/{id}", "/workflow/{id}/tasks", "/labels"}
    assert wanted <= known.keys()
    assert known["/workflow/{id}"]["workflow.id"] == {"text"}
    differences = list_drift(CASSETTES / "sync", CASSETTES)
    assert [line for line in differences if "only the server" in line] == []
