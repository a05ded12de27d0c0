"""Parts of a run with the wrong type: the run is loaded without them, and they are reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.altered import serve_altered
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.test_oddities import sync

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp

ODD: list[Any] = [
    *({}, {"X": "text"}, {"X": {"a": 1}}, {"X": [None]}, {"X": ["a", []]}),
    *([{"a": 1}], 7, None),
]


def place(odd: object, name: str) -> object:
    """Return a response with its key `X` renamed; return other responses unchanged."""
    return {name: odd["X"]} if isinstance(odd, dict) and odd else odd


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("part", ["metrics", "tasks"])
def test_a_run_is_loaded_without_a_part_of_the_wrong_type(
    swappable_app: tuple[str, SwappableApp], part: str, odd: object
) -> None:
    """A reconciliation retries the part and loads it after the server is repaired."""
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    changes[rf"/workflow/[^/]+/{part}"] = lambda _: place(odd, part)
    result = sync(platform, warehouse, tables=["workflows", "tasks", "process_metrics"]).sync_result
    assert (result.status, result.reference_errors) == ("ok", [])
    rows = warehouse.tables["workflows"].values()
    assert len(rows) == 12
    assert {row["missing_parts"] for row in rows} == {f'["{part}"]'}
    assert sum(space.incomplete[part] for space in result.workspaces.values()) == 12
    problem = f"run(s) were loaded without their {part}, which are no list of objects"
    is_absent = odd == {}
    assert any(problem in warning for warning in result.warnings) != is_absent
    changes.clear()
    sync(platform, warehouse, reconcile=True, tables=["workflows", "tasks", "process_metrics"])
    assert {row["missing_parts"] for row in warehouse.tables["workflows"].values()} == {None}
    assert warehouse.tables["process_metrics"]
    assert warehouse.tables["tasks"]


@pytest.mark.slow
@pytest.mark.parametrize("odd", [None, "text", 7])
def test_metrics_that_are_not_objects_are_left_out_and_reported(
    swappable_app: tuple[str, SwappableApp], odd: object
) -> None:
    platform, changes = serve_altered(swappable_app)
    expected, warehouse = InMemoryDestination(), InMemoryDestination()
    sync(platform, expected)
    changes[r"/workflow/[^/]+/metrics"] = lambda answer: {
        "metrics": [odd, *answer["metrics"]] if answer["metrics"] else []
    }
    result = sync(platform, warehouse).sync_result
    (warning,) = result.warnings
    assert warning.startswith("GET /workflow/{run_id}/metrics: ")
    assert "element(s) that are no objects were left out" in warning
    assert warehouse.tables["process_metrics"] == expected.tables["process_metrics"]


@pytest.mark.slow
def test_null_tasks_are_left_out_and_reported(swappable_app: tuple[str, SwappableApp]) -> None:
    platform, changes = serve_altered(swappable_app)
    expected, warehouse = InMemoryDestination(), InMemoryDestination()
    sync(platform, expected)
    changes[r"/workflow/[^/]+/tasks"] = lambda answer: (
        {"tasks": [None, *answer["tasks"], None], "total": answer["total"] + 2}
        if answer["tasks"]
        else answer
    )
    result = sync(platform, warehouse).sync_result
    assert result.warnings
    null = [one for one in result.warnings if "element(s) of task lists that are null" in one]
    assert null
    assert not any("negative task_id" in warning for warning in result.warnings)
    assert not any("list a task twice" in warning for warning in result.warnings)
    assert warehouse.tables["tasks"] == expected.tables["tasks"]
