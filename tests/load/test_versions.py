"""Excluded, hashed, redacted and promoted columns in rows that are written repeatedly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.config.settings import PrivacySettings

if TYPE_CHECKING:
    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import World


@pytest.fixture
def org(world: World, lab: int) -> int:
    """Return the id of the organization, which has a member with a secret in the name."""
    (org_id,) = {place.org_id for place in world.workspaces.values() if place.id == lab}
    assert org_id is not None
    add_member(world, org_id, "member")
    return org_id


def add_member(world: World, org: int, role: str) -> None:
    """Replace the member by one with this role; its field `phone` is undocumented."""
    world.clear_entities("members", org)
    name, more = {"userName": "joe", "firstName": "password=s3cret"}, {"phone": 7}
    world.add_entity("members", org, memberId=1, email="joe@example.org", role=role, **name, **more)


def read_versions(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return the versions of the member."""
    names = ("user_name", "email", "first_name", "role", "valid_to IS NULL")
    rows = warehouse.select(
        f"SELECT {', '.join(names)} FROM members_history ORDER BY valid_from"  # noqa: S608 names of columns
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.slow
def test_hashed_excluded_and_redacted_columns_open_no_version(
    warehouse: Warehouse, world: World, org: int
) -> None:
    """A change of the role opens a version."""
    wishes = PrivacySettings(hashed=("user_name",), excluded=("email",), salt="pepper")
    for _ in range(3):
        warehouse.sync(wishes, reconcile=True)
        world.clock.advance(3600)
    (only,) = read_versions(warehouse)
    assert (only["email"], only["first_name"]) == (None, "password=***")
    assert only["user_name"].startswith("hash:")
    add_member(world, org, "owner")
    warehouse.sync(wishes, reconcile=True)
    found = [(row["role"], row["valid_to IS NULL"]) for row in read_versions(warehouse)]
    assert found == [("member", False), ("owner", True)]


@pytest.mark.slow
def test_a_new_exclusion_applies_to_the_current_version(
    warehouse: Warehouse, world: World, org: int
) -> None:
    """The member did not change, so that no version is opened."""
    warehouse.sync(reconcile=True)
    assert [row["email"] for row in read_versions(warehouse)] == ["joe@example.org"]
    world.clock.advance(3600)
    warehouse.sync(PrivacySettings(excluded=("email",)), reconcile=True)
    assert [row["email"] for row in read_versions(warehouse)] == [None]


@pytest.mark.slow
def test_an_invalid_value_of_an_excluded_column_is_not_stored(
    warehouse: Warehouse, world: World, org: int
) -> None:
    """Invalid values of other columns are kept in `undocumented`."""
    world.add_entity("computeEnvs", id="ce", name="cluster", fusion2Enabled="s3cret")
    warehouse.sync(PrivacySettings(excluded=("compute_envs.fusion2_enabled",)), reconcile=True)
    for table in ("compute_envs", "compute_envs_history"):
        assert warehouse.select(f"SELECT undocumented FROM {table}") == [(None,)]  # noqa: S608 names of tables


@pytest.mark.slow
def test_a_promoted_field_is_kept_when_its_entity_is_deleted(
    warehouse: Warehouse, world: World, org: int
) -> None:
    """The row is written again with `missing_since`, and its version with `valid_to`."""
    wishes = PrivacySettings(promoted=("members.phone:integer", "members_history.phone:integer"))
    warehouse.sync(wishes, reconcile=True)
    world.clear_entities("members", org)
    world.clock.advance(3600)
    for wish in (wishes, PrivacySettings()):  # also after the setting is removed
        warehouse.sync(wish, reconcile=True)
        found = warehouse.select("SELECT phone, missing_since IS NOT NULL FROM members")
        assert found == [(7, True)]
        ended = warehouse.select("SELECT phone, valid_to IS NOT NULL FROM members_history")
        assert ended == [(7, True)]
