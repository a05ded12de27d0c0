"""Recording from a real platform, tried on a simulator that is taken for one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cassettes import scenarios
from tests.cassettes.drift import compare_shapes, read_shape
from tests.cassettes.live import Tour, main, record_live
from tests.cassettes.scrubber import HOST, Scrubber
from tower_etl.api import TowerClient
from tower_etl.config.settings import HttpSettings, Settings, Token
from tower_etl.errors import AuthenticationError
from tower_etl.simulator import NO_LIMIT, Simulator, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tower_etl.http import JsonHttpClient

TOKEN = "eyJ0aWQiOiA3fS5hYmNkZWY"


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    """A platform whose last workspace refuses the token."""
    world = scenarios.make_small_account()
    world.forbid(scenarios.LAB)
    return Simulator(world, tokens=(TOKEN,), limit=NO_LIMIT)


@pytest.fixture
def settings(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the environment would say, but for the endpoint."""
    monkeypatch.setenv("NO_PROXY", "*")
    return Settings("", Token(TOKEN), http=HttpSettings(calls_per_second=None, workers=1))


def record(simulator: Simulator, settings: Settings, folder: Path) -> str:
    """Record once, from a port of its own; answers the report."""
    with serve(simulator) as endpoint:
        return record_live(Settings(endpoint, settings.token, http=settings.http), folder)


def test_a_recorded_tour_can_be_replayed(
    simulator: Simulator,
    settings: Settings,
    tmp_path: Path,
    connect: Callable[..., JsonHttpClient],
) -> None:
    """Without a server the same calls find the same runs; a refusal is replayed as one."""
    record(simulator, settings, tmp_path)
    names = ["discovery", "labels-10313185905331", "labels-10417581207108", "labels-personal"]
    names += ["organizations", "run-10313185905331", "run-personal"]
    names += ["runs-10313185905331", "runs-10417581207108", "runs-personal"]
    assert names == sorted(path.stem for path in tmp_path.iterdir())
    client = TowerClient(connect(f"https://{HOST}/api"))
    found = Tour(client, tmp_path, Scrubber(), record=False).go(())
    assert found == [scenarios.PERSONAL, scenarios.FINAL]


def test_a_refusal_is_recorded_as_an_answer(
    simulator: Simulator, settings: Settings, tmp_path: Path, connect: Callable[..., JsonHttpClient]
) -> None:
    """The tour goes on where the token may not look."""
    with serve(simulator) as endpoint:
        client = TowerClient(connect(endpoint, TOKEN))
        found = Tour(client, tmp_path, Scrubber((TOKEN,)), record=True).go(("beta/*",))
    assert found == []
    (exchange,) = json.loads((tmp_path / f"runs-{scenarios.LAB}.json").read_text())["interactions"]
    assert exchange["response"]["status"] == 403


def test_a_live_recording_is_scrubbed(
    simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    """Neither token nor host nor port nor address is in any file."""
    record(simulator, settings, tmp_path)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "Bearer ***" in written
    assert [text for text in (TOKEN, "127.0.0.1", "example.org") if text in written] == []


def test_recording_again_shows_what_changed(
    simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    """First the names of the files; then nothing; then the lines of what became otherwise."""
    first = record(simulator, settings, tmp_path)
    assert "New: discovery.json" in first
    again = record(simulator, settings, tmp_path)
    assert [sign for sign in ("New:", "Gone:", "+++", "only the server") if sign in again] == []
    label_id = simulator.world.create_label(scenarios.CLINIC, "fresh")
    changed = record(simulator, settings, tmp_path)
    assert "+++ now/labels-10417581207108.json" in changed
    assert f'"id": {label_id}' in changed
    assert "--- before/discovery.json" not in changed


def test_a_tour_that_fails_leaves_the_last_recording(
    simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    """A wrong token, say, costs no file."""
    record(simulator, settings, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    wrong = Settings("", Token("opens-nothing-at-all"), http=settings.http)
    with pytest.raises(AuthenticationError):
        record(simulator, wrong, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_fields_that_the_simulator_lacks_are_named(tmp_path: Path) -> None:
    """The other way round too, and kinds of value; ids and nulls make no difference."""
    uri = "https://tower.test/workflow/abc123/metrics"
    for name, body in (
        ("one", {"a": 1, "same": None, "metrics": [{"new": {"x": 1}}], "n": {"in": 1}, "e": []}),
        ("two", {"a": "1", "same": 2, "old": True, "metrics": [{}], "n": None, "e": [1]}),
    ):
        response = {"status": 200, "headers": {}, "json": body}
        exchange = {"request": {"method": "GET", "uri": uri, "headers": {}}, "response": response}
        text = json.dumps({"version": 1, "interactions": [exchange]})
        (tmp_path / f"{name}.json").write_text(text)
    one, two = (read_shape([tmp_path / f"{name}.json"]) for name in ("one", "two"))
    expected = [
        "/workflow/{id}/metrics: only A has metrics[].new",
        "/workflow/{id}/metrics: only B has old",
        "/workflow/{id}/metrics: a is number in A, text in B",
    ]
    assert expected == compare_shapes(one, two, ("A", "B"))
    assert compare_shapes(one, one, ("A", "B")) == []


def test_without_a_token_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to set."""
    monkeypatch.delenv("TOWER_ACCESS_TOKEN", raising=False)
    assert main() == 2
    assert "set TOWER_ACCESS_TOKEN" in capsys.readouterr().err
