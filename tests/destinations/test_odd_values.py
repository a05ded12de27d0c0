"""Extreme values: every destination loads them, and syncs after them succeed."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.destinations.test_semantics import add_run
from tests.semantics.expected import RUN_TABLES, expect_labels, expect_run
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.destinations.harness import DestinationHarness
    from tests.semantics.expected import Rows
    from tower_etl.simulator import World

# Lakes in a bucket have the same columns as lakes in a folder.
FORMATS = ["duckdb", "parquet", "delta", "iceberg", "postgres"]
NUL = "left\x00right"
LONG = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))
TEXTS = {
    "NUL": NUL,
    "nothing but NUL": "\x00",
    "no character": "\ufffe\uffff",
    "controls": "\x01\x1b[31m\r\n\t\x7f\x85\u2028",
    "backslashes": r"\u0000 \\u0000 \ud800 \x00 \N",
    "quotes": "'\"`$$;--",
    "emoji": "\U0001f9ec\u202e",
    "empty": "",
    "long": LONG,
}
DOCUMENTS: dict[str, Any] = {
    "NUL": {NUL: [NUL, {"a": "\x00\x00"}]},
    "backslashes": {"a": "\\\x00", "b": "\\u0000", "c": "\\\\u0000\\", "d": "\U0001f9ec"},
    "numbers": {"a": 2**63 - 1, "b": -(2**63), "c": 1e308, "d": 5e-324, "e": -0.0},
    "empty": {},
    "many": {str(number): number for number in range(3000)},
}
MOMENTS = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"]
INTEGERS = [-(2**63), 2**63 - 1, 0]
NUMBERS = [1.7976931348623157e308, 5e-324, -0.0, -1.5]


def as_stored(value: Any) -> Any:
    """Return a value as PostgreSQL stores it, which does not accept NUL."""
    if isinstance(value, dict):
        return {as_stored(key): as_stored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


def as_parsed(table: str, rows: Rows) -> Rows:
    """Return rows with JSON columns parsed."""
    names = [column.name for column in TABLES[table].columns if column.is_json]
    return {
        key: row | {name: row[name] and json.loads(row[name]) for name in names}
        for key, row in rows.items()
    }


def expect(world: World, kind: str, lab: int) -> dict[str, Rows]:
    """Return the expected rows of the tables of runs and of the labels."""
    whole: dict[str, Rows] = {name: {} for name in RUN_TABLES}
    for run in world.runs(lab):
        for name, rows in expect_run(world, run["id"], lab).items():
            whole[name] |= rows
    whole["labels"] = expect_labels(world)
    parsed = {name: as_parsed(name, rows) for name, rows in whole.items()}
    if kind != "postgres":
        return parsed
    return {
        name: {tuple(map(as_stored, key)): as_stored(row) for key, row in rows.items()}
        for name, rows in parsed.items()
    }


def find_differences(expected: Rows, found: Rows) -> list[Any]:
    """Return cells that differ, with the beginnings of both values."""
    rows = [(key, expected.get(key, {}), found.get(key, {})) for key in expected.keys() | found]
    return [
        (key, column, str(one.get(column))[:200], str(other.get(column))[:200])
        for key, one, other in rows
        for column in one.keys() | other
        if one.get(column) != other.get(column)
    ]


def check(harness: DestinationHarness, world: World, lab: int) -> None:
    """Assert that the tables equal the platform's data, after two more syncs that succeed."""
    tables = frozenset({*RUN_TABLES, "labels", "sync_runs"})
    for reconcile in (False, True):
        add_run(world, lab)
        assert harness.sync(tables=tables, reconcile=reconcile).result.status == "ok"
    for name, rows in expect(world, harness.place.kind, lab).items():
        found = as_parsed(name, harness.read(name))
        assert find_differences(rows, found) == [], name


@pytest.fixture(params=FORMATS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return each format in turn."""
    return str(request.param)


@pytest.mark.slow
def test_extreme_texts_are_loaded(harness: DestinationHarness, world: World, lab: int) -> None:
    """The texts are in columns, keys, labels and lists.

    PostgreSQL stores U+FFFD in place of NUL.
    """
    for text in TEXTS.values():
        run_id = add_run(world, lab)
        world.add_task(run_id, name=text, process=text or "p", script=text, tag=text)
        world.set_labels(run_id, [world.create_label(lab, text)])
        world.fail_run(run_id, text)
    check(harness, world, lab)


@pytest.mark.slow
def test_extreme_json_documents_are_loaded(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    for document in DOCUMENTS.values():
        world.finish_run(add_run(world, lab), params=document)
    check(harness, world, lab)


@pytest.mark.slow
def test_the_lowest_and_highest_timestamps_and_numbers_are_loaded(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    for moment in MOMENTS:
        run_id = world.submit_run(lab, submit=moment)
        world.finish_run(run_id, start=moment, complete=moment)
    run_id = add_run(world, lab)
    for integer in INTEGERS:
        world.add_task(run_id, realtime=integer, memory=integer)
    for number in NUMBERS:
        world.add_task(run_id, cost=number, pcpu=number)
    world.finish_run(run_id)
    check(harness, world, lab)


@pytest.mark.slow
def test_a_reference_row_with_nul_has_one_version_in_postgresql(
    make_harness: Callable[[str], DestinationHarness], world: World
) -> None:
    """The stored value without NUL counts as equal to the value that the API returns."""
    harness = make_harness("postgres")
    world.add_entity("computeEnvs", id="ce", name=NUL, platform="\x00")
    tables = frozenset({"compute_envs", "compute_envs_history", "workflows", "sync_runs"})
    for _ in range(3):
        harness.sync(reconcile=True, tables=tables)
    assert [row["name"] for row in harness.read("compute_envs").values()] == ["left\ufffdright"]
    assert len(harness.read("compute_envs_history")) == 1
