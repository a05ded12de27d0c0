"""Slow entities: people, pipelines and places beside the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.sim.catalog import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.conftest import Caller
    from tower_etl.sim import World


def test_entities_are_listed_where_they_were_added(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Rows of a workspace, of an organisation, and of the personal workspace."""
    (org,) = world.organizations
    world.add_entity("pipelines", lab, pipelineId=1, name="rnaseq")
    world.add_entity("teams", org, teamId=2, name="platform")
    world.add_entity("computeEnvs", id="3", name="own")
    caller = call(world)

    listed = {
        "pipelines": caller.get("/pipelines", workspaceId=lab),
        "teams": caller.get(f"/orgs/{org}/teams"),
        "computeEnvs": caller.get("/compute-envs"),
    }

    assert listed == {
        "pipelines": {"pipelines": [{"pipelineId": 1, "name": "rnaseq"}], "totalSize": 1},
        "teams": {"teams": [{"teamId": 2, "name": "platform"}], "totalSize": 1},
        "computeEnvs": {"computeEnvs": [{"id": "3", "name": "own"}]},
    }


def test_paged_entities_come_ten_at_a_time(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Members and the like default to ten; compute environments come whole."""
    (org,) = world.organizations
    for number in range(12):
        world.add_entity("members", org, memberId=number)
        world.add_entity("computeEnvs", lab, id=str(number))
    caller = call(world)
    path = f"/orgs/{org}/members"

    sizes = [len(caller.get(path, offset=offset)["members"]) for offset in (0, 10)]

    assert sizes == [10, 2]
    assert len(caller.get("/compute-envs", workspaceId=lab)["computeEnvs"]) == 12
    assert caller.status(path, max=101) == 400


def test_entities_are_guarded_like_runs(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """403 for a forbidden workspace and an unknown organisation; gone rows are gone."""
    (org,) = world.organizations
    world.add_entity("participants", lab, participantId=1)
    caller = call(world)
    path = f"/orgs/{org}/workspaces/{lab}/participants"
    before = caller.get(path)["participants"]
    world.clear_entities("participants", lab)
    after = caller.get(path)["participants"]
    world.forbid(lab)

    assert (before, after) == ([{"participantId": 1}], [])
    assert [caller.status(path), caller.status("/orgs/1/members")] == [403, 403]


def test_a_seeded_workspace_is_furnished(seeded: World, call: Callable[..., Caller]) -> None:
    """The pipelines of its runs, environments, credentials without keys, people."""
    key = next(key for key in seeded.workspaces if key > 0)
    caller = call(seeded)

    pipelines = caller.get("/pipelines", workspaceId=key)["pipelines"]
    credentials = caller.get("/credentials", workspaceId=key)["credentials"]

    expected = {f"https://github.com/{pipeline.name}" for pipeline in PIPELINES}
    assert expected == {row["repository"] for row in pipelines}
    assert {row["keys"] for row in credentials} == {None}
