"""What users keep out of tables and let into them, in rows that are written again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.config.settings import PrivacySettings

if TYPE_CHECKING:
    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import World


@pytest.fixture
def org(world: World, lab: int) -> int:
    """The organisation, with a member of whom a secret is told."""
    (org_id,) = {place.org_id for place in world.workspaces.values() if place.id == lab}
    assert org_id is not None
    add_member(world, org_id, "member")
    return org_id


def add_member(world: World, org: int, role: str) -> None:
    """The member as it is now; its number of the phone is not documented."""
    world.clear_entities("members", org)
    name, more = {"userName": "joe", "firstName": "password=s3cret"}, {"phone": 7}
    world.add_entity("members", org, memberId=1, email="joe@example.org", role=role, **name, **more)


def read_versions(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The versions of the member."""
    names = ("user_name", "email", "first_name", "role", "valid_to IS NULL")
    rows = warehouse.select(
        f"SELECT {', '.join(names)} FROM members_history ORDER BY valid_from"  # noqa: S608 ours
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.slow
def test_what_is_kept_out_opens_no_version(warehouse: Warehouse, world: World, org: int) -> None:
    """Neither a digest, nor an empty column, nor a secret that was taken out; a change does."""
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
def test_a_wish_holds_for_the_version_of_today(
    warehouse: Warehouse, world: World, org: int
) -> None:
    """It is no change of the member, so that no version begins."""
    warehouse.sync(reconcile=True)
    assert [row["email"] for row in read_versions(warehouse)] == ["joe@example.org"]
    world.clock.advance(3600)
    warehouse.sync(PrivacySettings(excluded=("email",)), reconcile=True)
    assert [row["email"] for row in read_versions(warehouse)] == [None]


@pytest.mark.slow
def test_what_does_not_fit_a_hidden_column_is_nowhere(
    warehouse: Warehouse, world: World, org: int
) -> None:
    """Not in `undocumented` of the versions either."""
    world.add_entity("computeEnvs", id="ce", name="cluster", fusion2Enabled="s3cret")
    warehouse.sync(PrivacySettings(excluded=("compute_envs.fusion2_enabled",)), reconcile=True)
    for table in ("compute_envs", "compute_envs_history"):
        assert warehouse.select(f"SELECT undocumented FROM {table}") == [(None,)]  # noqa: S608 ours


@pytest.mark.slow
def test_a_promoted_field_outlives_what_it_was_of(
    warehouse: Warehouse, world: World, org: int
) -> None:
    """The row that says so is written again, and so is the end of the version."""
    wishes = PrivacySettings(promoted=("members.phone:integer", "members_history.phone:integer"))
    warehouse.sync(wishes, reconcile=True)
    world.clear_entities("members", org)
    world.clock.advance(3600)
    for wish in (wishes, PrivacySettings()):  # also when the line of the configuration is gone
        warehouse.sync(wish, reconcile=True)
        found = warehouse.select("SELECT phone, missing_since IS NOT NULL FROM members")
        assert found == [(7, True)]
        ended = warehouse.select("SELECT phone, valid_to IS NOT NULL FROM members_history")
        assert ended == [(7, True)]
