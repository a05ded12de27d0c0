"""Unusual characters in paths: a destination supports them, or refuses them before any call."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.destinations.harness import DestinationHarness
from tests.destinations.test_semantics import add_run
from tower_etl.clock import Clock
from tower_etl.destinations.config import DestinationConfig
from tower_etl.destinations.lake.mirror import open_mirror
from tower_etl.errors import ConfigurationError
from tower_etl.warehouse.reader import open_reader
from tower_etl.warehouse.status import query_destination, query_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tower_etl.simulator import Simulator, World

    MakeDepot = Callable[..., DestinationHarness]

LOCAL = ("duckdb", "parquet", "delta", "iceberg")
NEVER = "%?\\\n\x7f\udcff"
REFUSED = {
    "duckdb": NEVER,
    "parquet": f"{NEVER}=",
    "delta": f"{NEVER}=[]|^",
    "iceberg": f"{NEVER}=#",
}
CHARACTERS = f" 'é日\u0301\U0001f9ec#[];\"*&+:$`{{}}|<>~=@!,()^{NEVER}"
TABLES = frozenset({"workflows", "tasks", "labels", "workflow_labels", "sync_runs"})


@pytest.fixture
def make_at(endpoint: str, world: World, monkeypatch: pytest.MonkeyPatch) -> MakeDepot:
    """Return a function that returns a destination of a kind in a folder, with an optional name."""
    monkeypatch.setenv("NO_PROXY", "*")  # a developer's proxy must not intercept requests

    def make(kind: str, folder: Path, name: str = "") -> DestinationHarness:
        path = folder / (name or ("runs.duckdb" if kind == "duckdb" else "runs"))
        return DestinationHarness(
            DestinationConfig(kind, str(path), folder), endpoint, Clock(now=world.clock.now)
        )

    return make


def name_folders(kind: str) -> list[str]:
    """Return names that together contain all characters that a kind of destination supports."""
    taken = [character for character in CHARACTERS if character not in REFUSED[kind]]
    words = ["-flag", ".hidden", " blanks ", "tower"]
    if kind == "duckdb":
        words += ["month=2020-01-01", "a=1"]
    return ["".join(["x", *taken[::2], "y"]), "".join(["x", *taken[1::2], "y"]), *words]


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("kind", LOCAL)
def test_a_destination_works_with_all_supported_characters_in_its_path(
    kind: str, make_at: MakeDepot, tmp_path: Path, world: World, lab: int
) -> None:
    """It is synced twice, and again without its staging copy; then queried and maintained."""
    folder = tmp_path.joinpath(*name_folders(kind))
    folder.mkdir(parents=True)
    harness = make_at(kind, folder)
    for is_lost in (False, False, True):
        add_run(world, lab)
        if is_lost:
            shutil.rmtree(f"{harness.place.path}.sync")
        assert harness.sync(tables=TABLES).result.status == "ok"
    assert len(harness.read("workflows")) == len(harness.read("tasks")) == 3
    with open_reader(harness.place.path) as connection:
        assert connection.execute("SELECT count(*) FROM stg_tasks").fetchall() == [(3,)]
    workspaces = query_destination(harness.place, query_status)
    assert [workspace.row_counts["tasks"] for workspace in workspaces] == [3, 0]
    if kind != "duckdb":
        open_mirror(harness.place).lake.maintain(world.clock.now())
        assert len(harness.read("tasks")) == 3


@pytest.mark.parametrize(
    ("kind", "character"), [(kind, character) for kind in LOCAL for character in REFUSED[kind]]
)
def test_unsupported_characters_are_refused_before_the_first_call(
    kind: str, character: str, make_at: MakeDepot, simulator: Simulator, tmp_path: Path
) -> None:
    """They are in the name or in a parent folder. No file is created."""
    name = f"x{character}y"
    (tmp_path / name).mkdir()
    for harness in (make_at(kind, tmp_path, f"{name}z"), make_at(kind, tmp_path / name)):
        with pytest.raises(ConfigurationError, match="Unsupported") as raised:
            harness.sync()
        assert (name if character == "=" else repr(character)) in str(raised.value)
    assert simulator.calls == []
    assert list(tmp_path.rglob("*")) == [tmp_path / name]


IMPOSSIBLE = {
    "file/runs": "not a directory",
    "file/deeper/runs": "not a directory",
    "loop/runs": "symbolic links",
    "n" * 300: "name too long",
    "n" * 253: "name too long",
    "missing/runs": "does not exist",
    "taken": "taken.sync",
}


@pytest.mark.parametrize("kind", LOCAL)
def test_an_impossible_path_is_refused_before_the_first_call(
    kind: str, make_at: MakeDepot, simulator: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "taken.sync").touch()
    for path, said in IMPOSSIBLE.items():
        with pytest.raises(ConfigurationError) as raised:
            make_at(kind, tmp_path, path).sync()
        assert said.lower() in str(raised.value).lower()
    assert simulator.calls == []
