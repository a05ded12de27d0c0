"""Every route of the simulator against the published API descriptions of three versions.

Real servers return null almost anywhere, so that null is valid everywhere. A wrong type fails, and
so does a field that the description does not name, except for a short list of known fields.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest
import yaml

from tower_etl.simulator import ServerProfile, build_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import SimClock, World

Schema = dict[str, Any]

pytestmark = pytest.mark.shared

VERSIONS = ("1.140.0", "1.181.0", "1.187.0")

# Fields that real responses have (see the recorded runs) and the description does not name.
UNDOCUMENTED = {
    "WorkflowDbDto": {"peakLoadCpus", "peakLoadTasks", "peakLoadMemory"},
    "WorkflowMaxDbDto": {"peakLoadCpus", "peakLoadTasks", "peakLoadMemory"},
}
# The description declares every parameter of a run as an object; real ones are any JSON value.
ANY_JSON = {("WorkflowDbDto", "params"), ("WorkflowMaxDbDto", "params")}


@cache
def _load(path: Path) -> Schema:
    content = path.read_bytes()
    description: Schema = (
        orjson.loads(content) if path.suffix == ".json" else yaml.load(content, yaml.CSafeLoader)
    )
    return description


class _Strictness:
    """Strict JSON schemas made from an API description.

    `allOf` is merged, null is allowed, and fields that are not named are refused. If an object
    differs by kind, one kind must fit, and must have the name that the discriminator maps to it.
    """

    def __init__(self, description: Schema) -> None:
        self.description = description
        self._schemas = description["components"]["schemas"]

    def build(self, path: str) -> Schema:
        """Return the schema of a successful response of a route, with its definitions."""
        answer = self.description["paths"][path]["get"]["responses"]["200"]
        schema = answer["content"]["application/json"]["schema"]
        definitions: Schema = {}
        self._collect(schema["$ref"], definitions)
        return {"$ref": schema["$ref"].replace("components/schemas", "$defs"), "$defs": definitions}

    def _collect(self, reference: str, definitions: Schema) -> None:
        name = reference.rpartition("/")[2]
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = self._convert(self._merge(name), name, definitions)

    def _merge(self, name: str) -> Schema:
        schema = self._schemas[name]
        merged: Schema = {"properties": {}, "required": []} | schema
        for part in schema.get("allOf", ()):
            inner = self._merge(part["$ref"].rpartition("/")[2]) if "$ref" in part else part
            merged["properties"] = merged["properties"] | inner.get("properties", {})
            merged["required"] = merged["required"] + inner.get("required", [])
        return merged

    def _convert(self, schema: Schema, owner: str, definitions: Schema) -> Schema:
        if len(schema.get("allOf", ())) == 1 and "$ref" in schema["allOf"][0]:
            schema = schema["allOf"][0]
        if "$ref" in schema:
            self._collect(schema["$ref"], definitions)
            return {"$ref": schema["$ref"].replace("components/schemas", "$defs")}
        if "discriminator" in schema:
            return self._convert_kinds(schema["discriminator"], definitions)
        if schema.get("properties"):
            return self._convert_object(schema, owner, definitions)
        if schema.get("type") == "array":
            items = self._convert(schema["items"], owner, definitions)
            return {"type": ["array", "null"], "items": items}
        if "enum" in schema:
            return {"enum": [*schema["enum"], None]}
        return {"type": [schema.get("type", "object"), "null"]}

    def _convert_kinds(self, discriminator: Schema, definitions: Schema) -> Schema:
        kinds: list[Schema] = [{"type": "null"}]
        for name, reference in discriminator["mapping"].items():
            self._collect(reference, definitions)
            named = {"properties": {discriminator["propertyName"]: {"const": name}}}
            target = {"$ref": reference.replace("components/schemas", "$defs")}
            kinds.append({"allOf": [target, named], "required": [discriminator["propertyName"]]})
        return {"anyOf": kinds}

    def _convert_object(self, schema: Schema, owner: str, definitions: Schema) -> Schema:
        properties = {
            name: {} if (owner, name) in ANY_JSON else self._convert(inner, owner, definitions)
            for name, inner in schema["properties"].items()
        }
        known = properties | {name: {} for name in UNDOCUMENTED.get(owner, ())}
        return {
            "type": ["object", "null"],
            "properties": known,
            "required": schema.get("required", []),
            "additionalProperties": False,
        }


@pytest.fixture(params=VERSIONS)
def edition(request: pytest.FixtureRequest, shared: Path) -> tuple[str, _Strictness]:
    """Return an API version and its strict schemas."""
    (path,) = (shared / "api").glob(f"seqera-api-{request.param}.*")
    return request.param, _Strictness(_load(path))


@pytest.fixture
def populated(clock: SimClock) -> World:
    """Build a world with runs in every state, and a scripted run with a task in every state."""
    world = build_world(5, clock=clock, runs=60, mean_tasks=25)
    key = next(key for key in world.workspaces if key > 0)
    run = world.submit_run(key, launchId="W2VbOE0DTN6BUMbGGvb0A")
    world.start_run(run)
    for status in ("SUBMITTED", "RUNNING", "COMPLETED", "FAILED", "CACHED"):
        task = world.add_task(run)
        if status != "SUBMITTED":
            world.start_task(run, task)
        if status not in {"SUBMITTED", "RUNNING"}:
            world.finish_task(run, task, status)
    return world


_OF_A_WORKSPACE = (
    *("/labels", "/pipelines", "/compute-envs", "/datasets", "/actions", "/credentials"),
    *("/studios", "/data-links", "/datasets/versions", "/pipeline-secrets"),
)

_ATTRIBUTES = {
    "/pipelines": {"attributes": "labels,computeEnv,optimized"},
    "/compute-envs": {"attributes": "labels,resources"},
    **{key: {"attributes": "labels"} for key in ("/actions", "/datasets", "/studios")},
}
_LOGS = "/admin/audit-logs-v2"


def _iter_calls(world: World, user: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "/service-info", "/service-info", {}
    yield "/user-info", "/user-info", {}
    yield "/user/{userId}/workspaces", f"/user/{user}/workspaces", {}
    yield "/orgs", "/orgs", {}
    for key, place in world.workspaces.items():
        if place.org_id is None:
            continue
        org = f"/orgs/{place.org_id}/workspaces"
        yield "/orgs/{orgId}/workspaces", org, {}
        yield "/orgs/{orgId}/workspaces/{workspaceId}", f"{org}/{key}", {}
        yield "/orgs/{orgId}/members", f"/orgs/{place.org_id}/members", {}
        yield "/orgs/{orgId}/quotas", f"/orgs/{place.org_id}/quotas", {}
        yield "/orgs/{orgId}/collaborators", f"/orgs/{place.org_id}/collaborators", {}
        teams = "/orgs/{orgId}/teams"
        yield teams, f"/orgs/{place.org_id}/teams", {}
        for team in world.entities["teams"][place.org_id]:
            path = f"/orgs/{place.org_id}/teams/{team['teamId']}/members"
            yield f"{teams}/{{teamId}}/members", path, {}
        for pipeline in world.entities["pipelines"][key]:
            path = f"/pipelines/{pipeline['pipelineId']}/versions"
            yield "/pipelines/{pipelineId}/versions", path, {"workspaceId": key}
        for env in world.entities["computeEnvs"][key]:
            one, asked = "/compute-envs/{computeEnvId}", {"workspaceId": key}
            yield one, f"/compute-envs/{env['id']}", asked | {"attributes": "labels"}
        people = "/orgs/{orgId}/workspaces/{workspaceId}/participants"
        yield people, f"{org}/{key}/participants", {}
        yield "/workspaces/{workspaceId}/datasets", f"/workspaces/{key}/datasets", {}
        for route in _OF_A_WORKSPACE:
            yield route, route, {"workspaceId": key} | _ATTRIBUTES.get(route, {})
        listing = {"workspaceId": key, "attributes": "labels", "max": 100}
        yield "/workflow", "/workflow", listing
        for run in world.iter_runs(key):
            route, path = "/workflow/{workflowId}", f"/workflow/{run.id}"
            yield route, path, {"workspaceId": key, "attributes": "labels"}
            for part in ("tasks", "metrics", "progress"):
                yield f"{route}/{part}", f"{path}/{part}", {"workspaceId": key}
            if launch_id := run.at(world.now_s()).fields["launchId"]:
                yield f"{route}/launch", f"{path}/launch", {"workspaceId": key}
                yield "/launch/{launchId}", f"/launch/{launch_id}", {"workspaceId": key}
                datasets = f"/launch/{launch_id}/datasets"
                yield "/launch/{launchId}/datasets", datasets, {"workspaceId": key}


@pytest.mark.slow
def test_every_route_conforms_to_the_description_of_its_api_version(
    edition: tuple[str, _Strictness], populated: World, call: Callable[..., Caller]
) -> None:
    version, strictness = edition
    caller = call(populated, profile=ServerProfile(api_version=version))
    user = caller.get("/user-info")["user"]["id"]
    validators: dict[str, jsonschema.Draft202012Validator] = {}
    faults = []
    for route, path, query in _iter_calls(populated, user):
        if route not in validators:
            validators[route] = jsonschema.Draft202012Validator(strictness.build(route))
        answer = caller.get(path, **query)
        faults += [
            f"{route}: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
            for error in validators[route].iter_errors(answer)
        ]

    if version != VERSIONS[0]:  # the oldest version does not have the route
        validator = jsonschema.Draft202012Validator(strictness.build(_LOGS))
        logs = caller.get(_LOGS)
        faults += [error.message for error in validator.iter_errors(logs)]
        assert logs["auditLogs"]
    else:
        assert caller.status(_LOGS) == 404

    assert len(validators) == 33
    assert sorted(set(faults)) == []


@pytest.mark.parametrize(
    ("path", "change", "complaint"),
    [
        ("/workflow/{workflowId}/tasks", {"exit": "0"}, "'0' is not of type"),
        ("/workflow/{workflowId}/tasks", {"surprise": 1}, "'surprise' was unexpected"),
        ("/workflow/{workflowId}/tasks", {"status": "DONE"}, "'DONE' is not one of"),
    ],
)
def test_the_strict_schema_refuses_invalid_tasks(
    edition: tuple[str, _Strictness], path: str, change: dict[str, Any], complaint: str
) -> None:
    """A wrong type, an unnamed field and an unknown status are found."""
    validator = jsonschema.Draft202012Validator(edition[1].build(path))
    good = {"task": {"taskId": 1, "status": "COMPLETED", "exit": 0, "cost": None}}
    bad = {"task": good["task"] | change}

    messages = [error.message for error in validator.iter_errors({"tasks": [good, bad]})]

    assert len(messages) == 1
    assert complaint in messages[0]


@pytest.mark.parametrize(
    "change", [{"surprise": 1}, {"headQueue": 1}, {"discriminator": "x"}, {"discriminator": None}]
)
def test_the_strict_schema_refuses_invalid_compute_env_settings(
    edition: tuple[str, _Strictness], change: dict[str, Any]
) -> None:
    """The settings depend on the platform: those of one platform must fit, with its own name."""
    validator = jsonschema.Draft202012Validator(edition[1].build("/compute-envs/{computeEnvId}"))
    good = {"discriminator": "slurm-platform", "headQueue": "short"}

    def is_valid(config: dict[str, Any]) -> bool:
        return validator.is_valid({"computeEnv": {"config": config}})

    assert (is_valid(good), is_valid(good | change)) == (True, False)
