"""Seed tables: the bundled files are valid, and a user's file replaces them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.sql.small import SmallHistory
from tower_etl.errors import ConfigurationError
from tower_etl.views.definitions import iter_views, sql_root

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "provider,machine_type,vcpus,memory_gib,gpus"


def read_machine_types() -> list[tuple[object, ...]]:
    """Return the rows of the view `machine_types`."""
    (seed,) = (view for view in iter_views("seeds") if view.name == "machine_types")
    with duckdb.connect() as connection:
        return connection.execute(seed.sql).fetchall()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path from which the user's machine types are read."""
    monkeypatch.setenv("TOWER_ETL_SEEDS", str(tmp_path))
    return tmp_path / "machine_types.csv"


def test_machine_types_has_the_rows_of_the_bundled_file() -> None:
    """It lists each type of three clouds once, with CPUs and memory."""
    with (sql_root() / "seeds" / "machine_types.csv").open(encoding="utf-8") as file:
        expected = [tuple(row) for row in csv.reader(file)][1:]
    rows = read_machine_types()
    assert [(row[0], row[1]) for row in rows] == [(row[0], row[1]) for row in expected]
    assert len({str(row[1]).lower() for row in rows}) == len(rows) > 1_000
    assert {row[0] for row in rows} == {"aws", "google", "azure"}
    assert all(isinstance(row[2], int) and row[2] > 0 for row in rows)
    assert all(isinstance(row[3], float) and row[3] > 0 for row in rows)


@pytest.mark.parametrize(
    ("machine_type", "vcpus", "gib", "gpus"),
    [
        ("c6id.32xlarge", 64 * 2, 256, 0),
        ("m6id.24xlarge", 96, 384, 0),
        ("r6id.large", 2, 16, 0),
        ("g5.12xlarge", 48, 192, 4),
        ("n2-highmem-8", 8, 64, 0),
        ("n1-standard-4", 4, 15, 0),
        ("Standard_D4s_v3", 4, 16, 0),
        ("Standard_NC6s_v3", 6, 112, 1),
    ],
)
def test_machine_types_have_the_sizes_that_clouds_publish(
    machine_type: str, vcpus: int, gib: float, gpus: int
) -> None:
    found = {row[1]: row[2:] for row in read_machine_types()}
    assert found[machine_type] == (vcpus, gib, gpus)


def test_a_users_file_replaces_the_bundled_file(own: Path) -> None:
    """The columns may be in any order.

    The file has an empty cell, a quote, and a type that is repeated in lower case.
    """
    own.write_text(
        "machine_type,vcpus,gpus,memory_gib,provider,note\n"
        "Node-Big,4,,32,it's ours,x\nnode-big,4,0,32,ours,y\n",
        encoding="utf-8",
    )
    assert read_machine_types()[0] == ("it's ours", "Node-Big", 4, 32.0, None)
    history = SmallHistory()
    history.add_run("a")
    history.add_task("a", machineType="node-big", cpus=2, memory=32 * 2**30)
    (task,) = history.ask("stg_tasks")
    assert (task["gib_per_vcpu"], task["billed_vcpus"]) == (8.0, 4.0)


def test_a_machine_type_without_cpus_and_memory_has_no_billed_vcpus(own: Path) -> None:
    """The formula would divide by zero."""
    own.write_text(f"{HEADER}\nours,bare,0,0,0\n", encoding="utf-8")
    history = SmallHistory()
    history.add_run("a")
    history.add_task("a", machineType="bare")
    assert [task["billed_vcpus"] for task in history.ask("stg_tasks")] == [None]


def test_a_seed_file_without_rows_is_an_empty_table(own: Path) -> None:
    own.write_text(f"{HEADER}\n", encoding="utf-8")
    assert read_machine_types() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machine_type\nx\n", "lacks the column gpus"),
        (f"{HEADER}\naws,x,2,8,0\naws,y,two,8,0\n", "line 3: invalid vcpus 'two'"),
        (f"{HEADER}\naws,a;b,2,8,0\n", "line 2: invalid machine_type"),
        ("\xff", "cannot be read as a CSV file"),
    ],
)
def test_an_invalid_seed_file_is_a_configuration_error(own: Path, text: str, said: str) -> None:
    """A partially valid table would give wrong estimates."""
    own.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=said):
        list(iter_views())


def test_a_missing_seed_folder_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the bundled file would be used silently."""
    monkeypatch.setenv("TOWER_ETL_SEEDS", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="not a folder"):
        list(iter_views())
