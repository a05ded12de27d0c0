"""No secret or personal data is written to a cassette."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from starlette.middleware.gzip import GZipMiddleware
from vcr.errors import CannotOverwriteExistingCassetteException

from tests.cassettes import scenarios
from tests.cassettes.scrubber import HOST, Scrubber
from tests.cassettes.vcr_format import Format, format_json_text, open_cassette
from tests.privacy import secret_samples
from tower_etl.api import TowerClient
from tower_etl.simulator import (
    NO_LIMIT,
    Simulator,
    World,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tower_etl.http import JsonHttpClient

TOKEN = "eyJ0aWQiOiA0Mn0uMDEyMzQ1Njc4OWFi+/="
ENCODED = base64.b64encode(TOKEN.encode()).decode()
QUOTED = "eyJ0aWQiOiA0Mn0uMDEyMzQ1Njc4OWFi%2B%2F%3D"
SERVER = "tower.corp.example"
SCRUBBER = Scrubber((TOKEN,), (f"{SERVER}:8443", SERVER))

BODY = {
    "user": {
        "userName": "grace-h",
        "firstName": "Grace",
        "lastName": "Hopper",
        "email": "grace@corp.example",
        "avatar": "https://pictures.corp.example/grace.png",
    },
    "said": f"token {TOKEN}, quoted {QUOTED}, encoded {ENCODED}",
    "link": f"https://{SERVER}:8443/orgs?token={TOKEN}",
    "workDir": "/home/grace-h/work",
    "params": {
        "api_key": "key-of-the-lab",
        "password": "hunter22",
        "source": "https://grace:hunter22@data.example/x?X-Amz-Signature=0123abcd&a=1",
        "aws": "AKIAABCDEFGHIJKLMNOP",
    },
    "errorReport": "on ip-10-1-22-3.ec2.internal (10.1.22.3, fd00::1:2) for ada@corp.example",
    "nested": [{"userName": "ada-l"}, {"note": "asked ada-l and Grace Hopper"}],
}
SECRETS = (
    *(TOKEN, QUOTED, ENCODED, "grace", "Grace", "Hopper", "ada", "corp.example", "hunter22"),
    *("key-of-the-lab", "AKIA", "0123abcd", "10.1.22.3", "10-1-22-3", "fd00", "session-of-grace"),
)


def record(body: bytes) -> str:
    """Return the text of a cassette with one exchange that has secrets in both directions."""
    request = {
        "method": "GET",
        "uri": f"https://{SERVER}:8443/api/workflow/{QUOTED}?search=grace@corp.example&t={QUOTED}",
        "body": None,
        "headers": {
            "Authorization": [f"Bearer {TOKEN}"],
            "Cookie": ["JSESSIONID=session-of-grace"],
            "X-Asked-By": ["grace@corp.example"],
            "Accept": [f"application/json; {TOKEN}"],
        },
    }
    sent = {"Set-Cookie": ["JSESSIONID=session-of-grace"], "X-Token": [TOKEN]}
    sent |= {"Content-Type": [f"application/json; {TOKEN}"]}
    response = {"status": {"code": 200}, "headers": sent, "body": {"string": body.decode()}}
    exchanges = [{"request": request, "response": response}]
    return Format(SCRUBBER).serialize({"version": 1, "interactions": exchanges})


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_headers_address_or_body_is_not_written(secret: str) -> None:
    """Request and response contain the secrets, the token in several encodings."""
    planted = json.dumps(BODY)
    written = record(planted.encode())
    assert secret in planted + "session-of-grace"
    assert secret not in written


def test_secrets_in_an_html_body_are_not_written() -> None:
    page = f"<p>{TOKEN} of grace@corp.example at {SERVER}, 10.1.22.3</p>"
    written = json.loads(record(page.encode()))["interactions"][0]["response"]
    assert f"<p>*** of somebody@{HOST} at {HOST}, 192.0.2.1</p>" == written["text"]


def test_a_person_has_the_same_pseudonym_in_fields_paths_and_text() -> None:
    (body,) = SCRUBBER.scrub_bodies([BODY])
    assert tuple(body["user"][name] for name in ("userName", "firstName", "lastName")) == (
        "user-1",
        "first-1",
        "last-1",
    )
    assert body["workDir"] == "/home/user-1/work"
    assert body["nested"] == [{"userName": "user-2"}, {"note": "asked user-2 and first-1 last-1"}]


def test_a_pseudonym_is_not_given_to_a_second_person() -> None:
    """The body already contains a name that looks like a pseudonym."""
    bodies = [[{"userName": "user-1"}, {"userName": "ada-l"}, {"userName": "grace-h"}]]
    (body,) = SCRUBBER.scrub_bodies(bodies)
    assert [row["userName"] for row in body] == ["user-1", "user-2", "user-3"]


def test_values_that_only_resemble_secrets_are_kept() -> None:
    """Times, versions, hashes, process names and nulls are data."""
    row: dict[str, Any] = {
        "submit": "2026-03-01T08:00:00Z",
        "process": "NFCORE_RNASEQ:ALIGN:STAR",
        "version": "25.04.6",
        "hash": "ab/12cd34",
        "email": None,
        "container": "quay.io/biocontainers/fq:0.12.0",
        "cost": 0.00031,
        "tokens": [],
    }
    assert [row] == SCRUBBER.scrub_bodies([row])


def test_scrubbing_is_idempotent() -> None:
    """In a replay, a scrubbed request must equal the recorded one."""
    once = SCRUBBER.scrub_bodies([BODY])
    assert once == SCRUBBER.scrub_bodies(once)
    uri = SCRUBBER.scrub_uri(f"http://{SERVER}/api/workflow?search=after%3A2026&t={QUOTED}")
    assert f"https://{HOST}/api/workflow?search=after%3A2026&t=%2A%2A%2A" == uri
    assert uri == SCRUBBER.scrub_uri(uri)


def test_a_binary_body_is_not_recorded() -> None:
    """A binary body cannot be scrubbed."""
    response = {"status": {"code": 200}, "headers": {}, "body": {"string": b"\xff\x00"}}
    request: dict[str, Any] = {"method": "GET", "uri": "https://x/", "body": None, "headers": {}}
    exchanges = [{"request": request, "response": response}]
    with pytest.raises(TypeError, match="cannot be scrubbed"):
        Format(SCRUBBER).serialize({"version": 1, "interactions": exchanges})


def test_a_compressed_response_is_recorded_uncompressed(
    tmp_path: Path, connect: Callable[..., JsonHttpClient]
) -> None:
    """Compression would hide secrets from the scrubber, and the body from reviewers."""
    world = World()
    world.add_user("grace-h")
    zipped = GZipMiddleware(Simulator(world, limit=NO_LIMIT), minimum_size=1)
    path = tmp_path / "zipped.json"
    with (
        serve(zipped) as endpoint,  # type: ignore[arg-type] # also an ASGI application
        open_cassette(path, Scrubber((scenarios.TOKEN,)), record=True),
    ):
        answer = connect(endpoint).session.get(f"{endpoint}/user-info")
    assert (
        answer.headers["Content-Encoding"],
        answer.json()["user"]["userName"],
    ) == ("gzip", "grace-h")
    assert "grace" not in path.read_text()
    with open_cassette(path, Scrubber(), record=False):
        user = TowerClient(connect(f"https://{HOST}/api")).get_user()
    assert ("user-1", f"somebody@{HOST}") == (user["userName"], user["email"])


def test_two_recordings_are_byte_identical(
    tmp_path: Path, connect: Callable[..., JsonHttpClient]
) -> None:
    """Neither the port nor the time of day is written."""
    written = []
    for name in ("first.json", "second.json"):
        with (
            serve(scenarios.serve_small_account()) as endpoint,
            open_cassette(tmp_path / name, Scrubber((scenarios.TOKEN,)), record=True),
        ):
            client = TowerClient(connect(endpoint))
            client.get_user()
            client.get_run(scenarios.RESEARCH, scenarios.FINAL)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert len(json.loads(written[0])["interactions"]) == 2


def test_a_call_that_was_not_recorded_fails(
    tmp_path: Path, connect: Callable[..., JsonHttpClient]
) -> None:
    """A call with other parameters or headers is not the recorded one."""
    path = tmp_path / "one.json"
    with (
        serve(scenarios.serve_small_account()) as endpoint,
        open_cassette(path, Scrubber((scenarios.TOKEN,)), record=True),
    ):
        connect(endpoint).get("/labels", {"workspaceId": scenarios.RESEARCH})
    with open_cassette(path, Scrubber(), record=False):
        http_client = connect(f"https://{HOST}/api")
        with pytest.raises(CannotOverwriteExistingCassetteException, match="differ in query"):
            http_client.get("/labels", {"workspaceId": scenarios.LAB})
        http_client.session.headers["Accept-Version"] = "2"
        with pytest.raises(CannotOverwriteExistingCassetteException, match="differ in headers"):
            http_client.get("/labels", {"workspaceId": scenarios.RESEARCH})


@pytest.mark.parametrize("value", [{}, [], [1, {"a": None}], {"long": ["x" * 60, {"y": "z" * 60}]}])
def test_the_layout_preserves_the_value_and_breaks_long_lines(value: Any) -> None:
    assert value == json.loads(format_json_text(value))
    assert re.search(r"[^\n]{120,}", format_json_text(value)) is None


def test_secrets_of_every_known_format_are_scrubbed() -> None:
    body = {
        "note": [secret_samples.plant(name) for name in secret_samples.SECRETS],
        "plain": "text",
    }
    text = record(json.dumps(body).encode())
    assert secret_samples.list_leaks(text) == []
    assert '"plain": "text"' in text
