"""Lists that the server does not paginate, and malformed list elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.quirky import (
    WORKSPACES,
    add_run,
    assert_equal,
    calls_of,
    find_space,
    sync,
)
from tower_etl.simulator.routes.runs import RunRoutes

if TYPE_CHECKING:
    from tests.semantics.quirky import Serve


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 99, 100, 101, 150, 320])
@pytest.mark.parametrize("unpaged", [r"/datasets$", r"/datasets|/labels|/workflow$|/tasks$", r"."])
def test_an_unpaginated_list_takes_at_most_two_calls(
    serve_quirky: Serve, count: int, unpaged: str
) -> None:
    """The list counts as complete, so that rows it no longer contains are marked as missing."""
    platform, warehouse = serve_quirky(unpaged=unpaged), InMemoryDestination()
    for number in range(count):
        platform.world.add_entity("datasets", find_space(platform), id=f"d{number}", name="x")
        if count < 150:
            add_run(platform, 0)
    add_run(platform, count)
    session = sync(platform, warehouse)
    assert len(warehouse.tables["datasets"]) == count
    assert calls_of(platform, session, "/datasets") <= WORKSPACES + 1
    assert_equal(platform, warehouse)
    assert session.sync_result.warnings == []
    platform.world.clear_entities("datasets", find_space(platform))
    sync(platform, warehouse, reconcile=True)
    rows = warehouse.tables["datasets"].values()
    assert sum(row["missing_since"] is not None for row in rows) == count


def test_an_element_without_an_id_is_left_out_and_reported(serve_quirky: Serve) -> None:
    """The list is then incomplete: no row is marked as missing, and no further calls are made."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    space = find_space(platform)
    for number in range(3):
        platform.world.add_entity("datasets", space, id=f"d{number}", name="x")
        platform.world.add_entity("actions", space, id=f"c{number}", name="x")
    first = sync(platform, warehouse)
    for kind in ("datasets", "actions"):
        platform.world.clear_entities(kind, space)
        platform.world.add_entity(kind, space, name="no id")
        platform.world.add_entity(kind, space, id=f"{kind[0]}7", name="x")
    session = sync(platform, warehouse, reconcile=True)
    assert calls_of(platform, session, "/datasets") == calls_of(platform, first, "/datasets")
    for table in ("datasets", "actions"):
        assert len(warehouse.tables[table]) == 4
        assert all(row["missing_since"] is None for row in warehouse.tables[table].values())
        message = f"acme/clinic: 1 element(s) of {table} without a usable id were left out"
        assert any(message in warning for warning in session.sync_result.warnings)
    assert sync(platform, warehouse).sync_result.warnings == []


@pytest.mark.parametrize("odd", [None, "text", {}, {"workflow": {"id": 7}}, {"workflow": None}])
def test_a_listing_element_without_a_run_id_is_left_out_and_reported(
    serve_quirky: Serve, monkeypatch: pytest.MonkeyPatch, odd: Any
) -> None:
    """No run is marked as missing, and the listing is not repeated."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    gone, kept = add_run(platform), add_run(platform)
    usual = sync(platform, warehouse)
    platform.world.delete_run(gone)
    fresh = add_run(platform)
    show = RunRoutes._element

    def show_oddly(routes: RunRoutes, run: Any, attributes: frozenset[str]) -> Any:
        return odd if run.id == kept else show(routes, run, attributes)

    monkeypatch.setattr(RunRoutes, "_element", show_oddly)
    for _ in range(2):
        session = sync(platform, warehouse, reconcile=True)
        (warning,) = session.sync_result.warnings
        assert "acme/clinic: 1 element(s) of the run listing without a usable run id" in warning
        assert calls_of(platform, session, "/workflow") == calls_of(platform, usual, "/workflow")
    rows = warehouse.tables["workflows"]
    assert set(rows) == {(gone,), (kept,), (fresh,)}
    assert [row["missing_since"] for row in rows.values()] == [None] * 3
