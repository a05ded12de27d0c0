"""Lists of reference data that contradict themselves: reported, and nothing marked as missing."""

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
def test_a_count_that_a_list_does_not_match_is_reported(
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
    """Return a list whose first element comes again with another name."""
    return answer | {name: [*answer[name], *({**item, "name": "x"} for item in answer[name][:1])]}


def doubled(answer: Answer, name: str) -> Answer:
    """Return a list with each element twice."""
    return answer | {name: [*answer[name], *answer[name]]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "listed", [PAGED, UNPAGED, ("/compute-envs", "computeEnvs", "compute_envs")]
)
@pytest.mark.parametrize("change", [twice, doubled])
def test_an_element_that_is_listed_twice_is_reported(
    swappable_app: tuple[str, SwappableApp],
    listed: tuple[str, str, str],
    change: Callable[[Answer, str], Answer],
) -> None:
    """Each has one row; the list is whole, so that what it lacks is missing."""
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


def test_a_run_that_is_listed_twice_is_reported(swappable_app: tuple[str, SwappableApp]) -> None:
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    changes["/workflow"] = lambda answer: doubled(answer, "workflows")
    warnings = sync(platform, warehouse, reconcile=True).sync_result.warnings
    assert warnings
    assert all("run(s) that are listed more than once" in warning for warning in warnings)


def each(name: str, **fields: Any) -> Callable[[Answer], Answer]:
    """Return a change of fields in each element of a list."""
    return lambda answer: answer | {name: [item | fields for item in answer[name]]}


def as_text(name: str, field: str) -> Callable[[Answer], Answer]:
    """Return a change of a field of each element of a list into text."""
    return lambda answer: (
        answer | {name: [item | {field: str(item[field])} for item in answer[name]]}
    )


VERSIONS = "/datasets/versions"


@pytest.mark.slow
@pytest.mark.parametrize("odd", [None, "x", 1.5, 2**63])
def test_a_version_without_a_number_makes_no_row(
    swappable_app: tuple[str, SwappableApp], odd: object
) -> None:
    """Its key would be invented, and its row would stay when the server has healed."""
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
def test_an_empty_text_is_no_id(  # noqa: PLR0913, PLR0917 a row of the table of cases
    swappable_app: tuple[str, SwappableApp], odd: str, path: str, name: str, field: str, table: str
) -> None:
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    changes[path] = each(name, **{field: odd})
    warnings = sync(platform, warehouse).sync_result.warnings
    assert warnings
    assert all(f"element(s) of {table} without a usable id" in warning for warning in warnings)
    assert warehouse.tables[table] == {}


def test_an_empty_text_is_no_id_of_a_run(swappable_app: tuple[str, SwappableApp]) -> None:
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()

    def spoil_second(answer: Answer) -> Answer:
        runs = [dict(item) for item in answer["workflows"]]
        for item in runs[1:2]:
            item["workflow"] = item["workflow"] | {"id": ""}
        return answer | {"workflows": runs}

    changes["/workflow"] = spoil_second
    warnings = sync(platform, warehouse).sync_result.warnings
    assert warnings
    assert all("without a usable run id were left out" in warning for warning in warnings)


def test_ids_of_another_type_are_those_of_the_column(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """Also where other calls and tables depend on them."""
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
def test_an_id_that_several_workspaces_give_to_different_things_is_reported(
    swappable_app: tuple[str, SwappableApp], odd: object
) -> None:
    """The table has room for one of them."""
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


def test_a_thing_that_several_workspaces_show_is_no_contradiction(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """One that another workspace shares is in the lists of both, as the same."""
    platform, changes = serve_altered(swappable_app)
    shared = {"id": "shared", "name": "cluster", "workspaceName": "production"}
    changes["/compute-envs"] = lambda answer: {"computeEnvs": [*answer["computeEnvs"], shared]}
    session = platform.open_session(tables=["compute_envs"])
    InMemoryDestination().load(session, PackageLimits())
    session.close()
    assert not any("different elements" in one for one in session.sync_result.warnings)
