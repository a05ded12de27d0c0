"""Failures of the handshake: redirects, proxies, gateways and servers of other products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.console import expect_contract
from tests.cli.here import open_stream
from tests.http.conftest import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.console import Console
    from tests.cli.here import Run


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Yield a server with scripted responses."""
    started = ScriptedServer()
    yield started
    started.close()


SERVICE = {"serviceInfo": {"version": "20.08"}}
CASES: dict[str, tuple[list[tuple[int, object]], int, str]] = {
    "redirect": (
        [(302, "https://new.example.org/api/service-info")],
        5,
        "redirects to https://new.",
    ),
    "circles": ([(302, "/api/service-info")] * 9, 5, "redirects in a loop"),
    "proxy": ([(407, "")], 5, "requires credentials"),
    "single sign-on": ([(401, "")], 5, "A gateway or login page"),
    "wrong base path": ([(404, "")], 5, "ends in /api"),
    "not allowed": ([(405, "")], 5, "ends in /api"),
    "open source": ([(200, SERVICE), (404, "")], 5, "Open-source Tower lacks this call"),
    "refused": ([(200, SERVICE), (401, "")], 3, "refuses the token"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("command", ["sync", "check"])
def test_every_failure_of_the_handshake_has_its_code_and_message(
    run_here: Callable[[Console], Run],
    console: Console,
    server: ScriptedServer,
    command: str,
    name: str,
) -> None:
    """No target is created."""
    script, code, says = CASES[name]
    for status, body in script:
        if status == 302:
            server.redirect(str(body))
        else:
            server.answer(body, status)
    before = console.list_files()

    ended = run_here(console)(
        command, "--endpoint", server.endpoint, "--json", out=open_stream("utf-8")
    )

    assert (ended.code, ended.err.count("\n"), says in ended.err) == (code, 1, True), ended.err
    expect_contract(ended.json)
    assert ended.json["calls"] == len(server.seen)
    assert console.list_files() == before
