"""Reference data of the simulator: members, pipelines, compute environments and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.simulator import ServerProfile
from tower_etl.simulator.generator.specs import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import World


def test_entities_are_listed_in_the_scope_they_were_added_to(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """The scopes are a workspace, an organization and the personal workspace."""
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


def test_paged_entities_have_a_default_page_size_of_ten(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Compute environments are not paged."""
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


def test_entities_can_be_cleared_and_respond_with_403_when_forbidden(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """An unknown organization responds with 403, too."""
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


def test_a_generated_workspace_has_pipelines_and_credentials(
    seeded: World, call: Callable[..., Caller]
) -> None:
    """The credentials are without keys."""
    key = next(key for key in seeded.workspaces if key > 0)
    caller = call(seeded)

    pipelines = caller.get("/pipelines", workspaceId=key)["pipelines"]
    credentials = caller.get("/credentials", workspaceId=key)["credentials"]

    expected = {f"https://github.com/{pipeline.name}" for pipeline in PIPELINES}
    assert expected == {row["repository"] for row in pipelines}
    assert {row["keys"] for row in credentials} == {None}


def test_a_single_compute_environment_has_more_fields_than_the_list(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Labels must be requested. An environment outside the workspace responds with 403."""
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


def test_a_launch_contains_its_compute_environment_and_datasets(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """It can be requested by its run and by its own id, until the run is deleted."""
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


def test_older_api_versions_lack_later_fields_and_routes(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
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
