"""Reference data, launches and the audit log, from recorded responses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.cassettes import scenarios
from tower_etl.api import PathScope, endpoints
from tower_etl.api.records import make_key_reader
from tower_etl.extract.reference import ENTITIES
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import TowerClient
    from tower_etl.extract.reference import ReferenceEntity

    Ask = Callable[..., TowerClient]

HERE = PathScope(scenarios.RESEARCH, scenarios.ACME)


def find_parent(client: TowerClient, entity: ReferenceEntity) -> PathScope:
    """Return the scope that an entity is requested for: its first parent, if it has parents."""
    if not entity.parent:
        return HERE
    parent = next(other for other in ENTITIES if other.table == entity.parent)
    first = client.list_entity(parent.endpoint, HERE).items[0]
    return PathScope(HERE.workspace_id, HERE.org_id, first[parent.endpoint.id_field])


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.table)
def test_every_entity_list_is_complete(ask: Ask, entity: ReferenceEntity) -> None:
    """The list is complete, each item has a unique key, and the entity has a table."""
    client = ask(scenarios.serve_reference_data)
    found = client.list_entity(entity.endpoint, find_parent(client, entity))
    keys = [make_key_reader(entity.endpoint.key)(item) for item in found.items]
    assert (found.complete, len(keys)) == (True, len(set(keys)))
    assert entity.table in TABLES


def test_a_launch_is_fetched_by_its_id(ask: Ask) -> None:
    """The launch is requested by the id that the run names."""
    launch = ask(scenarios.serve_reference_data).get_launch(scenarios.RESEARCH, scenarios.LAUNCH)
    assert launch["id"] == scenarios.LAUNCH


def test_a_launch_names_its_compute_environment_and_its_datasets(ask: Ask) -> None:
    """A call for one compute environment returns more than the list does, such as `config`."""
    client = ask(scenarios.serve_reference_data)
    launch = client.get_launch(scenarios.RESEARCH, scenarios.LAUNCH)
    where = replace(HERE, parent_id=launch["computeEnv"]["id"])
    env = client.get_entity(endpoints.COMPUTE_ENV, where)
    assert env["config"] == launch["computeEnv"]["config"]
    (dataset,) = client.list_launch_datasets(scenarios.RESEARCH, scenarios.LAUNCH)
    assert dataset["version"] == 1


def test_the_audit_log_is_read_page_by_page(ask: Ask) -> None:
    """Entries are sorted newest first, and the last page has no token."""
    before = datetime(2026, 3, 2, tzinfo=UTC)
    entries, token = ask(scenarios.serve_reference_data).list_audit_log_page(None, before, None)
    times = [entry["timestamp"] for entry in entries]
    assert (times, token) == (sorted(times, reverse=True), None)
    assert times
    assert endpoints.AUDIT_LOGS.records_key == "auditLogs"
