"""Recording from a real platform, tested with the simulator in its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cassettes import scenarios
from tests.cassettes.drift import compare_shapes, read_shape
from tests.cassettes.live import CallSequence, main, record_live
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
    """Return a platform whose last workspace refuses the token."""
    world = scenarios.make_small_account()
    world.forbid(scenarios.LAB)
    return Simulator(world, tokens=(TOKEN,), limit=NO_LIMIT)


@pytest.fixture
def settings(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings without an endpoint, as from the environment."""
    monkeypatch.setenv("NO_PROXY", "*")
    return Settings("", Token(TOKEN), http=HttpSettings(calls_per_second=None, workers=1))


def record(simulator: Simulator, settings: Settings, folder: Path) -> str:
    """Record once, with the simulator on a new port; return the report."""
    with serve(simulator) as endpoint:
        return record_live(Settings(endpoint, settings.token, http=settings.http), folder)


def test_a_recorded_tour_can_be_replayed(
    simulator: Simulator,
    settings: Settings,
    tmp_path: Path,
    connect: Callable[..., JsonHttpClient],
) -> None:
    """The replay finds the same runs without a server, and repeats refusals."""
    record(simulator, settings, tmp_path)
    names = ["discovery", "labels-10313185905331", "labels-10417581207108", "labels-personal"]
    names += ["organizations", "run-10313185905331", "run-personal"]
    names += ["runs-10313185905331", "runs-10417581207108", "runs-personal"]
    assert names == sorted(path.stem for path in tmp_path.iterdir())
    client = TowerClient(connect(f"https://{HOST}/api"))
    found = CallSequence(client, tmp_path, Scrubber(), record=False).go(())
    assert found == [scenarios.PERSONAL, scenarios.FINAL]


def test_a_refused_call_is_recorded_and_the_tour_continues(
    simulator: Simulator, settings: Settings, tmp_path: Path, connect: Callable[..., JsonHttpClient]
) -> None:
    with serve(simulator) as endpoint:
        client = TowerClient(connect(endpoint, TOKEN))
        found = CallSequence(client, tmp_path, Scrubber((TOKEN,)), record=True).go(("beta/*",))
    assert found == []
    (exchange,) = json.loads((tmp_path / f"runs-{scenarios.LAB}.json").read_text())["interactions"]
    assert exchange["response"]["status"] == 403


def test_a_live_recording_is_scrubbed(
    simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    """No file contains the token, the host or a mail address."""
    record(simulator, settings, tmp_path)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "Bearer ***" in written
    assert [text for text in (TOKEN, "127.0.0.1", "example.org") if text in written] == []


def test_a_second_recording_reports_what_changed(
    simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    """The first report names new files; without a change on the platform the report has no diff."""
    first = record(simulator, settings, tmp_path)
    assert "New: discovery.json" in first
    again = record(simulator, settings, tmp_path)
    assert [sign for sign in ("New:", "Gone:", "+++", "only the server") if sign in again] == []
    label_id = simulator.world.create_label(scenarios.CLINIC, "fresh")
    changed = record(simulator, settings, tmp_path)
    assert "+++ now/labels-10417581207108.json" in changed
    assert f'"id": {label_id}' in changed
    assert "--- before/discovery.json" not in changed


def test_a_failed_tour_keeps_the_last_recording(
    simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    record(simulator, settings, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    wrong = Settings("", Token("opens-nothing-at-all"), http=settings.http)
    with pytest.raises(AuthenticationError):
        record(simulator, wrong, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_shape_comparison_reports_fields_and_types_that_differ(tmp_path: Path) -> None:
    """Fields of either side are reported; ids, nulls and empty lists make no difference."""
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


def test_recording_without_a_token_exits_with_an_error_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TOWER_ACCESS_TOKEN", raising=False)
    assert main() == 2
    assert "set TOWER_ACCESS_TOKEN" in capsys.readouterr().err
