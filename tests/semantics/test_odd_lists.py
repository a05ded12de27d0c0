"""Lists of reference data that contradict themselves: reported, and nothing marked as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.altered import serve_altered
from tests.semantics.quirky import sync
from tests.semantics.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.semantics.platform import Switchboard

    Answer = dict[str, Any]

PAGED = ("/pipelines", "pipelines", "pipelines")
UNPAGED = ("/pipeline-secrets", "pipelineSecrets", "pipeline_secrets")


def missing(warehouse: Warehouse, table: str) -> int:
    """Return the number of rows that are marked as missing."""
    return sum(row["missing_since"] is not None for row in warehouse.tables[table].values())


@pytest.mark.parametrize("listed", [PAGED, UNPAGED, ("/orgs", "organizations", "organizations")])
@pytest.mark.parametrize(("kept", "total"), [(6, 1_000_000), (0, 6), (1, 20)])
def test_a_count_that_a_list_does_not_match_is_reported(
    switchboard: tuple[str, Switchboard], listed: tuple[str, str, str], kept: int, total: int
) -> None:
    path, name, table = listed
    platform, changes = serve_altered(switchboard)
    warehouse = Warehouse()
    assert sync(platform, warehouse).sync_result.warnings == []
    changes[path] = lambda answer: answer | {name: answer[name][:kept], "totalSize": total}
    warnings = sync(platform, warehouse, reconcile=True).sync_result.warnings
    assert warnings
    for warning in warnings:
        assert f": the server counts other {table} than it lists, for example " in warning
        assert f"{total:,} by its count" in warning
        assert warning.endswith("None was marked as missing.")
    assert missing(warehouse, table) == 0


def twice(answer: Answer, name: str) -> Answer:
    """Return a list whose first element comes again with another name."""
    return answer | {name: [*answer[name], *({**item, "name": "x"} for item in answer[name][:1])]}


def doubled(answer: Answer, name: str) -> Answer:
    """Return a list with each element twice."""
    return answer | {name: [*answer[name], *answer[name]]}


@pytest.mark.parametrize(
    "listed", [PAGED, UNPAGED, ("/compute-envs", "computeEnvs", "compute_envs")]
)
@pytest.mark.parametrize("change", [twice, doubled])
def test_an_element_that_is_listed_twice_is_reported(
    switchboard: tuple[str, Switchboard],
    listed: tuple[str, str, str],
    change: Callable[[Answer, str], Answer],
) -> None:
    """Each has one row; the list is whole, so that what it lacks is missing."""
    path, name, table = listed
    platform, changes = serve_altered(switchboard)
    warehouse = Warehouse()
    sync(platform, warehouse)
    rows = len(warehouse.tables[table])
    changes[path] = lambda answer: change(answer, name)
    warnings = sync(platform, warehouse, reconcile=True).sync_result.warnings
    assert warnings
    assert all(f"element(s) of {table} that are listed more than once" in one for one in warnings)
    assert (len(warehouse.tables[table]), missing(warehouse, table)) == (rows, 0)


def test_a_run_that_is_listed_twice_is_reported(switchboard: tuple[str, Switchboard]) -> None:
    platform, changes = serve_altered(switchboard)
    warehouse = Warehouse()
    sync(platform, warehouse)
    changes["/workflow"] = lambda answer: doubled(answer, "workflows")
    warnings = sync(platform, warehouse, reconcile=True).sync_result.warnings
    assert warnings
    assert all("run(s) that are listed more than once" in warning for warning in warnings)
