"""Upgrade: a sync adds new tables, columns and months to a target of an older version."""

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
# Upgrades of launches and compute environments have their tests beside those of the tables.
NOT_ASKED = NEW_TABLES | {"launches", "compute_envs", "compute_envs_history"}


@contextmanager
def before_api_1_187(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove these tables and columns, and the months of launches, as in an older version."""
    (tables,) = (found for found in gc.get_referents(TABLES) if isinstance(found, dict))
    known: dict[str, Any] = dict(tables)
    with ExitStack() as stack, monkeypatch.context() as patch:
        stack.callback(tables.update, known)  # runs after `tables.clear`
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
def test_a_sync_adds_missing_tables_and_columns_to_an_older_target(
    harness: DestinationHarness,
    world: World,
    lab: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    lost: bool,
) -> None:
    """With `lost`, all files outside the destination itself are deleted before the sync."""
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
