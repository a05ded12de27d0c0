"""Inconsistent lists of reference data are reported, and no row is marked as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.altered import serve_altered
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.quirky import sync
from tower_etl.config.settings import PackageLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.semantics.platform import SwappableApp

    Answer = dict[str, Any]

PAGED = ("/pipelines", "pipelines", "pipelines")
UNPAGED = ("/pipeline-secrets", "pipelineSecrets", "pipeline_secrets")


def missing(warehouse: InMemoryDestination, table: str) -> int:
    """Return the number of rows that are marked as missing."""
    return sum(row["missing_since"] is not None for row in warehouse.tables[table].values())


@pytest.mark.slow
@pytest.mark.parametrize("listed", [PAGED, UNPAGED, ("/orgs", "organizations", "organizations")])
@pytest.mark.parametrize(("kept", "total"), [(6, 1_000_000), (0, 6), (1, 20)])
def test_a_list_that_does_not_match_its_count_is_reported(
    swappable_app: tuple[str, SwappableApp], listed: tuple[str, str, str], kept: int, total: int
) -> None:
    path, name, table = listed
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
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
    """Return a list whose first element is repeated with another name."""
    return answer | {name: [*answer[name], *({**item, "name": "x"} for item in answer[name][:1])]}


def doubled(answer: Answer, name: str) -> Answer:
    """Return a list with each element twice."""
    return answer | {name: [*answer[name], *answer[name]]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "listed", [PAGED, UNPAGED, ("/compute-envs", "computeEnvs", "compute_envs")]
)
@pytest.mark.parametrize("change", [twice, doubled])
def test_a_duplicate_list_element_is_reported(
    swappable_app: tuple[str, SwappableApp],
    listed: tuple[str, str, str],
    change: Callable[[Answer, str], Answer],
) -> None:
    """Each element has one row, and no row is marked as missing."""
    path, name, table = listed
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    rows = len(warehouse.tables[table])
    changes[path] = lambda answer: change(answer, name)
    warnings = sync(platform, warehouse, reconcile=True).sync_result.warnings
    assert warnings
    assert all(f"element(s) of {table} that are listed more than once" in one for one in warnings)
    assert (len(warehouse.tables[table]), missing(warehouse, table)) == (rows, 0)


def test_a_duplicate_run_in_the_listing_is_reported(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    changes["/workflow"] = lambda answer: doubled(answer, "workflows")
    warnings = sync(platform, warehouse, reconcile=True).sync_result.warnings
    assert warnings
    assert all("run(s) that are listed more than once" in warning for warning in warnings)


def each(name: str, **fields: Any) -> Callable[[Answer], Answer]:
    """Return a function that changes fields in each element of a list."""
    return lambda answer: answer | {name: [item | fields for item in answer[name]]}


def as_text(name: str, field: str) -> Callable[[Answer], Answer]:
    """Return a function that turns a field of each element of a list into text."""
    return lambda answer: (
        answer | {name: [item | {field: str(item[field])} for item in answer[name]]}
    )


VERSIONS = "/datasets/versions"


@pytest.mark.slow
@pytest.mark.parametrize("odd", [None, "x", 1.5, 2**63])
def test_a_dataset_version_without_a_valid_number_is_left_out(
    swappable_app: tuple[str, SwappableApp], odd: object
) -> None:
    """A row with a surrogate key would remain after the server sends the number."""
    platform, changes = serve_altered(swappable_app)
    healthy, warehouse = InMemoryDestination(), InMemoryDestination()
    sync(platform, healthy)
    changes[VERSIONS] = each("versions", version=odd)
    warnings = sync(platform, warehouse).sync_result.warnings
    assert warnings
    assert all("element(s) of dataset_versions without a usable id" in one for one in warnings)
    assert warehouse.tables["dataset_versions"] == {}
    changes.clear()
    sync(platform, warehouse, reconcile=True)
    assert set(warehouse.tables["dataset_versions"]) == set(healthy.tables["dataset_versions"])


def test_all_versions_of_a_dataset_are_stored(swappable_app: tuple[str, SwappableApp]) -> None:
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    changes[VERSIONS] = lambda answer: {
        "versions": [one | {"version": n} for one in answer["versions"] for n in (1, "2", 3)]
    }
    assert sync(platform, warehouse).sync_result.warnings == []
    datasets = {dataset_id for dataset_id, _ in warehouse.tables["dataset_versions"]}
    expected = {(dataset_id, number) for dataset_id in datasets for number in (1, 2, 3)}
    assert datasets
    assert set(warehouse.tables["dataset_versions"]) == expected


@pytest.mark.parametrize("odd", ["", " "])
@pytest.mark.parametrize(
    ("path", "name", "field", "table"),
    [
        ("/studios", "studios", "sessionId", "studios"),
        ("/datasets", "datasets", "id", "datasets"),
        ("/pipelines", "pipelines", "pipelineId", "pipelines"),
    ],
)
def test_an_element_with_a_blank_id_is_left_out_and_reported(  # noqa: PLR0913, PLR0917 parameters of a case
    swappable_app: tuple[str, SwappableApp], odd: str, path: str, name: str, field: str, table: str
) -> None:
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    changes[path] = each(name, **{field: odd})
    warnings = sync(platform, warehouse).sync_result.warnings
    assert warnings
    assert all(f"element(s) of {table} without a usable id" in warning for warning in warnings)
    assert warehouse.tables[table] == {}


def test_a_run_with_an_empty_id_is_left_out_and_reported(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()

    def corrupt_second(answer: Answer) -> Answer:
        runs = [dict(item) for item in answer["workflows"]]
        for item in runs[1:2]:
            item["workflow"] = item["workflow"] | {"id": ""}
        return answer | {"workflows": runs}

    changes["/workflow"] = corrupt_second
    warnings = sync(platform, warehouse).sync_result.warnings
    assert warnings
    assert all("without a usable run id were left out" in warning for warning in warnings)


def test_ids_as_text_are_converted_to_the_type_of_the_column(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """Calls and tables that depend on the ids use the converted values."""
    platform, changes = serve_altered(swappable_app)
    expected, warehouse = InMemoryDestination(), InMemoryDestination()
    sync(platform, expected)
    for path, name, field in (
        ("/pipelines", "pipelines", "pipelineId"),
        ("/labels", "labels", "id"),
        ("/orgs", "organizations", "orgId"),
        (r"/orgs/\d+/teams", "teams", "teamId"),
    ):
        changes[path] = as_text(name, field)
    assert sync(platform, warehouse).sync_result.warnings == []
    for table in ("pipelines", "pipeline_versions", "teams", "team_members", "labels"):
        assert (table, set(warehouse.tables[table])) == (table, set(expected.tables[table]))


@pytest.mark.parametrize("odd", [5, "same"])
def test_an_id_that_workspaces_use_for_different_elements_is_reported(
    swappable_app: tuple[str, SwappableApp], odd: object
) -> None:
    """The table can hold only one row for the id."""
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()

    def rename_first(answer: Answer) -> Answer:
        envs = answer["computeEnvs"]
        first = [one | {"id": odd, "name": f"{one['id']} in its workspace"} for one in envs[:1]]
        return {"computeEnvs": [*first, *envs[1:]]}

    changes["/compute-envs"] = rename_first
    session = platform.open_session(tables=["compute_envs"])
    warehouse.load(session, PackageLimits())
    session.close()
    warnings = session.sync_result.warnings
    message = "1 id(s) stand for different elements in several workspaces or organizations"
    assert any(one.startswith(f"compute_envs: {message}") for one in warnings), warnings


def test_an_element_that_several_workspaces_list_is_not_reported(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """A shared element is in the lists of several workspaces, with the same fields."""
    platform, changes = serve_altered(swappable_app)
    shared = {"id": "shared", "name": "cluster", "workspaceName": "production"}
    changes["/compute-envs"] = lambda answer: {"computeEnvs": [*answer["computeEnvs"], shared]}
    session = platform.open_session(tables=["compute_envs"])
    InMemoryDestination().load(session, PackageLimits())
    session.close()
    assert not any("different elements" in one for one in session.sync_result.warnings)
