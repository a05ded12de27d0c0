"""A destination that an older version wrote: new tables, columns and months come with a sync."""

from __future__ import annotations

import gc
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.destinations.test_semantics import DISTINCT, add_run, expect_tables, older_version
from tower_etl.destinations.lake import partitions
from tower_etl.schema import COMPUTE_ENV_DETAILS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.destinations.harness import DestinationHarness
    from tower_etl.simulator import World

NEW_TABLES = frozenset({"organization_quotas", "launch_datasets"})
NEW_COLUMNS: dict[str, frozenset[str]] = {
    "workflows": frozenset({"nextflow_version", "sched_config__max_spot_attempts"}),
    "launches": frozenset({"nextflow_version", "dataset_count"}),
    "compute_envs": frozenset(column.name for column in COMPUTE_ENV_DETAILS),
    "compute_envs_history": frozenset(column.name for column in COMPUTE_ENV_DETAILS),
    "studios": frozenset({"allowed_users"}),
}
# What an older version knows of launches and compute environments is tested where they are.
NOT_ASKED = NEW_TABLES | {"launches", "compute_envs", "compute_envs_history"}


@contextmanager
def before_api_1_187(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if these tables and columns were not known yet, nor months of launches."""
    (tables,) = (found for found in gc.get_referents(TABLES) if isinstance(found, dict))
    known: dict[str, Any] = dict(tables)
    with ExitStack() as stack, monkeypatch.context() as patch:
        stack.callback(tables.update, known)  # after the next one
        stack.callback(tables.clear)
        for table, columns in NEW_COLUMNS.items():
            stack.enter_context(older_version(table, *columns))
        for table in NEW_TABLES:
            del tables[table]
        patch.delitem(partitions._TIMESTAMPS, "launches")
        yield


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISTINCT)
@pytest.mark.parametrize("lost", [False, True], ids=["kept", "lost"])
def test_the_next_sync_of_an_older_target_adds_what_it_lacks(
    harness: DestinationHarness,
    world: World,
    lab: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    lost: bool,
) -> None:
    """Without an error, also where nothing but the destination itself is left."""
    world.add_entity("computeEnvs", lab, id="ce", platform="aws-batch", workspaceName="lab")
    world.finish_run(add_run(world, lab, "2026-01-20T00:00:00Z"))
    with before_api_1_187(monkeypatch):
        harness.sync(tables=frozenset(TABLES) - NOT_ASKED)
    if lost:
        harness.forget()
    launched = world.submit_run(lab, launchId="launch-1")
    report = harness.sync(tables=frozenset(TABLES))
    assert (report.result.status, report.result.reference_errors) == ("ok", [])

    expect_tables(world, harness)
    found = {name: harness.read(name) for name in (*NEW_TABLES, "launches", "compute_envs")}
    assert list(found["launches"]) == [("launch-1",)]
    assert found["launches"]["launch-1",]["compute_env__id"] == "ce"
    assert harness.read("workflows")[launched,]["launch_id"] == "launch-1"
    assert found["compute_envs"]["ce",]["aws_account_id"] is not None
    assert len(found["organization_quotas"]) == 1
