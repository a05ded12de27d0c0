"""The routes of single things: a compute environment, the quotas of an organisation, a launch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.routing import Route

from tower_etl.simulator.access import (
    endpoint,
    find_org,
    find_place,
    find_run,
)
from tower_etl.simulator.computeenvs import describe_compute_env, embed_compute_env
from tower_etl.simulator.launches import describe_launch, make_launch
from tower_etl.simulator.parameters import read_attributes, refuse

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.editions import ServerProfile
    from tower_etl.simulator.runs import Row, Run
    from tower_etl.simulator.world import World

# As an organisation without a licence for more has them.
_QUOTAS: dict[str, int] = {
    "maxMembers": 50,
    "maxTeams": 20,
    "maxWorkspaces": 50,
    "maxParticipantsPerWorkspace": 50,
    "maxPipelinesPerWorkspace": 100,
    "maxDatasetsPerWorkspace": 100,
    "maxVersionsPerDataset": 100,
    "maxLabelsPerWorkspace": 1000,
    "maxCustomRolesPerOrg": 10,
    "maxRuns": 100,
    "maxRunHistory": 250,
    "maxDataStudiosRunning": 1,
    "maxSeqeraComputeComputeEnvs": 1,
    "maxFusionThroughputBytes": 100 * 2**40,
}


@dataclass(frozen=True)
class DetailRoutes:
    """One method per endpoint (see `Routes` for the attributes)."""

    world: World
    profile: ServerProfile

    def list_routes(self) -> list[Route]:
        """The routes, below `/api`."""
        routes = [
            Route("/compute-envs/{env_id}", self.describe_compute_env),
            Route("/workflow/{run_id}/launch", self.describe_run_launch),
            Route("/launch/{launch_id}", self.describe_launch),
        ]
        if self.profile.legacy:
            return routes
        return [
            *routes,
            Route("/orgs/{org_id:int}/quotas", self.describe_quotas),
            Route("/launch/{launch_id}/datasets", self.list_launch_datasets),
        ]

    @endpoint
    def describe_compute_env(self, request: Request) -> Row:
        """`/compute-envs/{id}`: with its settings, and without labels unless they are asked for."""
        key, env_id = find_place(self, request), request.path_params["env_id"]
        known = frozenset({"labels", "resources"})
        attributes = read_attributes(request, self.profile.quirks, known)
        envs = self.world.list_compute_envs(key)
        row = next((env for env in envs if env.get("id") == env_id), None)
        if row is None:
            raise refuse(403, "Operation not allowed")
        described = describe_compute_env(row, self.world.workspaces[key])
        shown = described | {
            name: None for name in ("labels", "resources") if name not in attributes
        }
        return {"computeEnv": self.profile.edition.trim("computeEnv", shown)}

    @endpoint
    def describe_quotas(self, request: Request) -> Row:
        """`/orgs/{id}/quotas`."""
        org_id = request.path_params["org_id"]
        find_org(self, request, org_id)
        stored = self.world.entities.get("quotas", {}).get(org_id)
        return {"quotas": stored[-1] if stored else dict(_QUOTAS)}

    @endpoint
    def describe_run_launch(self, request: Request) -> Row:
        """`/workflow/{id}/launch`; runs started from the command line have none."""
        run = find_run(self, request)
        workflow = run.workflow(self.world.now_s())
        if workflow.get("launchId") is None:
            raise refuse(404, f"No launch for workflow {workflow['id']}")
        env = self._embed_compute_env(run)
        return {"launch": self._trim(make_launch(workflow) | {"computeEnv": env})}

    @endpoint
    def describe_launch(self, request: Request) -> Row:
        """`/launch/{id}`: what a run was launched from."""
        run = self._find_launched(request)
        place = self.world.workspaces[run.workspace_id]
        launch = describe_launch(run.summary(self.world.now_s()), place.id)
        return {"launch": self._trim(launch | {"computeEnv": self._embed_compute_env(run)})}

    @endpoint
    def list_launch_datasets(self, request: Request) -> Row:
        """`/launch/{id}/datasets`: those of the workspace for every other launch."""
        run, launch_id = self._find_launched(request), request.path_params["launch_id"]
        stored = self.world.entities.get("launchDatasets", {}).get(run.workspace_id)
        if stored is None and sum(launch_id.encode()) % 2:
            stored = self.world.entities.get("datasetVersions", {}).get(run.workspace_id)
        rows = [self.profile.edition.trim("datasetVersions", row) for row in stored or []]
        return {"versions": rows, "totalSize": len(rows)}

    def _find_launched(self, request: Request) -> Run:
        key, launch_id = find_place(self, request), request.path_params["launch_id"]
        run = self.world.find_launched(key, launch_id)
        if run is None:
            raise refuse(403, "Operation not allowed")
        return run

    def _embed_compute_env(self, run: Run) -> Row | None:
        place = self.world.workspaces[run.workspace_id]
        env = embed_compute_env(self.world.find_compute_env(run), place)
        return env and self.profile.edition.trim("computeEnv", env)

    def _trim(self, launch: Row) -> Row:
        return self.profile.edition.trim("launch", launch)
