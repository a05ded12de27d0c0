"""Reference data: people, pipelines, compute environments and the like beside the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.simulator import ServerProfile
from tower_etl.simulator.generator.catalog import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import World


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


def test_one_compute_environment_shows_more_than_the_list(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Its settings and dates; labels where they are asked for; 403 where there is none."""
    world.add_entity(
        "computeEnvs", lab, id="ce", name="c", platform="aws-batch", labels=[{"id": 1}]
    )
    caller = call(world)

    (listed,) = caller.get("/compute-envs", workspaceId=lab)["computeEnvs"]
    bare = caller.get("/compute-envs/ce", workspaceId=lab)["computeEnv"]
    whole = caller.get("/compute-envs/ce", workspaceId=lab, attributes="labels")["computeEnv"]

    assert ("config" in listed, bare["config"]["region"]) == (False, "eu-west-1")
    assert (bare["workspaceId"], bare["labels"], whole["labels"]) == (lab, None, [{"id": 1}])
    assert caller.status("/compute-envs/ce") == 403
    assert caller.status("/compute-envs/other", workspaceId=lab) == 403


def test_a_launch_shows_its_compute_environment_and_its_datasets(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """By the run as well as by its own id."""
    world.add_entity("computeEnvs", lab, id="ce", name="c", platform="aws-batch")
    world.add_entity("launchDatasets", lab, datasetId="d", version=1)
    run = world.submit_run(lab, launchId="launch-1")
    caller = call(world)

    of_run = caller.get(f"/workflow/{run}/launch", workspaceId=lab)["launch"]
    launch = caller.get("/launch/launch-1", workspaceId=lab)["launch"]

    assert of_run["computeEnv"]["id"] == launch["computeEnv"]["id"] == "ce"
    datasets = caller.get("/launch/launch-1/datasets", workspaceId=lab)
    assert datasets == {"versions": [{"datasetId": "d", "version": 1}], "totalSize": 1}
    world.delete_run(run)
    assert caller.status("/launch/launch-1", workspaceId=lab) == 403
    assert caller.status("/launch/launch-1") == 403


def test_an_older_server_lacks_what_came_later(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Fields by the version of the API; routes of a server of 2021."""
    (org,) = world.organizations
    world.add_entity("computeEnvs", lab, id="ce", platform="aws-batch")
    world.add_entity("studios", lab, sessionId="s", allowedUsers=[])
    run = world.submit_run(lab, launchId="l", nextflowVersion="25.04.6")
    found = {}
    for version in ("1.140.0", "1.181.0", "1.187.0"):
        caller = call(world, profile=ServerProfile(api_version=version))
        (studio,) = caller.get("/studios", workspaceId=lab)["studios"]
        answers = (
            caller.get(f"/workflow/{run}", workspaceId=lab)["workflow"],
            caller.get("/launch/l", workspaceId=lab)["launch"],
            caller.get("/compute-envs/ce", workspaceId=lab)["computeEnv"],
            studio,
        )
        names = ("nextflowVersion", "nextflowVersion", "fusionMetricsCollectionEnabled")
        found[version] = [n in a for n, a in zip((*names, "allowedUsers"), answers, strict=True)]
    assert found == {
        "1.140.0": [False, False, False, False],
        "1.181.0": [False, False, True, False],
        "1.187.0": [True, True, True, True],
    }
    legacy = call(world, profile=ServerProfile(legacy=True))
    assert legacy.status(f"/orgs/{org}/quotas") == 404
    assert legacy.status("/launch/l/datasets", workspaceId=lab) == 404
    assert call(world).get(f"/orgs/{org}/quotas")["quotas"]["maxRunHistory"] == 250


def test_a_membership_has_an_id_of_its_own_in_each_organization(
    seeded: World, call: Callable[..., Caller]
) -> None:
    caller = call(seeded)
    lists = [caller.get(f"/orgs/{org}/members", max=100) for org in seeded.organizations]
    ids = [member["memberId"] for listed in lists for member in listed["members"]]
    assert len(lists) > 1
    assert len(set(ids)) == len(ids)
