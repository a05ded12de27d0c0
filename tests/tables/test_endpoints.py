"""Every field of every response that a sync reads has a column, or a reason for having none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.tables.conftest import VERSIONS, load_description
from tower_etl.api import endpoints
from tower_etl.api.endpoints import Endpoint
from tower_etl.extract.reference import ENTITIES
from tower_etl.schema import TABLES
from tower_etl.schema.tasks import METRIC_UNITS
from tower_etl.schema.types import to_snake_case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tower_etl.extract.reference import ReferenceEntity

pytestmark = pytest.mark.shared
KINDS = {"int64": int, "string": str}

Field = tuple[str, ...]
Node = dict[str, Any]

ENDPOINTS = {
    name: endpoint for name, endpoint in vars(endpoints).items() if isinstance(endpoint, Endpoint)
}
# Tables that an endpoint fills, unless the reference entities define them.
FILLS: dict[str, tuple[str, ...]] = {
    "SERVICE_INFO": ("service_info",),
    "USER_INFO": (),
    "USER_WORKSPACES": ("workspaces",),
    "RUNS": ("workflows",),
    "RUN": ("workflows", "workflow_progress", "process_progress", "labels"),
    "RUN_TASKS": ("tasks",),
    "RUN_METRICS": ("process_metrics",),
    "LAUNCH": ("launches",),
    "LAUNCH_DATASETS": ("launch_datasets",),
    "COMPUTE_ENV": ("compute_envs",),
    "AUDIT_LOGS": ("audit_logs",),
}
# Objects and lists of objects inside a response whose fields belong to a record.
WRAPPERS: dict[str, tuple[Field, ...]] = {
    "RUNS": (("workflow",),),
    "RUN": (("progress", "processesProgress"), ("progress",), ("workflow",), ("labels",)),
    "RUN_TASKS": (("task",),),
}
RENAMED: dict[str, dict[Field, Field]] = {
    "USER_WORKSPACES": {
        ("workspaceName",): ("name",),
        ("workspaceFullName",): ("fullName",),
    }
}
_OF_PAGES = "tells whether more follows"
_OF_ONE_RUN = "comes with the call for the one run"
LEFT_OUT: dict[str, dict[str, str]] = {
    "SERVICE_INFO": {"analytics": "keys of the services that watch the platform's own pages"},
    "USER_INFO": {
        "user": "says whose token it is, and nothing of a run",
        "needConsent": "a setting of the platform's own pages",
        "defaultWorkspaceId": "a setting of the platform's own pages",
    },
    "RUNS": {"progress": _OF_ONE_RUN, "labels": _OF_ONE_RUN},
    "CREDENTIALS": {"keys": "secret: what opens the provider"},
}
BESIDE = {
    "totalSize": _OF_PAGES,
    "total": _OF_PAGES,
    "hasMore": _OF_PAGES,
    "nextPageToken": _OF_PAGES,
}


@pytest.fixture(scope="module")
def description(shared: Path) -> Node:
    """Return the newest API description."""
    return load_description(shared, VERSIONS[-1])


class Answers:
    """The responses in an API description, and the fields of their records."""

    def __init__(self, description: Node) -> None:
        self._schemas = description["components"]["schemas"]
        self._answers = {
            _blank(path): operations["get"]["responses"]["200"]["content"]
            for path, operations in description["paths"].items()
            if "content" in operations.get("get", {}).get("responses", {}).get("200", {})
        }

    def iter_fields(self, name: str) -> Iterator[Field]:
        """Yield each field of the records, and those beside the records, by path.

        Lists, objects with arbitrary keys, and objects that differ by kind count as one field.
        """
        endpoint = ENDPOINTS[name]
        fields = self._properties(
            self._answers[_blank(endpoint.path)]["application/json"]["schema"]
        )
        if endpoint.records_key and list_tables(name):
            record = fields.pop(endpoint.records_key)
            fields |= self._properties(record.get("items", record))
        yield from self._iter(fields, (), WRAPPERS.get(name, ()))

    def _iter(self, fields: Node, above: Field, wrappers: tuple[Field, ...]) -> Iterator[Field]:
        for field, schema in fields.items():
            path = (*above, field)
            inner = self._properties(schema.get("items", schema) if path in wrappers else schema)
            if inner and "discriminator" not in inner:
                yield from self._iter(inner, path, wrappers)
            else:
                yield path

    def _properties(self, schema: Node) -> Node:
        if "$ref" in schema:
            return self._properties(self._schemas[schema["$ref"].rpartition("/")[2]])
        found: Node = dict(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            found |= self._properties(part)
        return found


def _blank(path: str) -> tuple[str, ...]:
    """Return a path without the names of its variables."""
    return tuple("{}" if part.startswith("{") else part for part in path.split("/"))


def list_tables(name: str) -> tuple[str, ...]:
    """Return the tables that an endpoint fills."""
    listed = tuple(entity.table for entity in ENTITIES if entity.endpoint is ENDPOINTS[name])
    return listed or FILLS[name]


def has_column(name: str, field: Field) -> bool:
    """Return whether a column holds the field, or the object that contains it."""
    for wrapper in WRAPPERS.get(name, ()):
        if field[: len(wrapper)] == wrapper:
            field = field[len(wrapper) :]
            break
    field = RENAMED.get(name, {}).get(field, field)
    taken = {
        column.path
        for table in list_tables(name)
        for column in TABLES[table].columns
        if column.path
    }
    return any(field[:length] in taken for length in range(1, len(field) + 1)) or (
        name == "RUN_METRICS" and to_snake_case(field[0]) in METRIC_UNITS
    )


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_documented_field_has_a_column_or_a_reason(description: Node, name: str) -> None:
    """A field that a newer API description adds fails here until it gets a column or a reason."""
    reasons = BESIDE | LEFT_OUT.get(name, {})
    bare = [
        ".".join(field)
        for field in Answers(description).iter_fields(name)
        if field[0] not in reasons and not has_column(name, field)
    ]
    assert bare == []


def test_nested_fields_are_listed_and_unknown_fields_have_no_column(description: Node) -> None:
    """The listing follows references, lists and nested objects."""
    runs = set(Answers(description).iter_fields("RUN"))
    assert {("workflow", "nextflowVersion"), ("schedConfig", "pool", "enabled")} < runs
    assert {("progress", "processesProgress", "cpuTime"), ("labels", "isDefault")} < runs
    assert not has_column("RUN", ("workflow", "surprise"))
    assert not has_column("COMPUTE_ENV", ("surprise", "id"))


def test_every_reason_refers_to_a_documented_field(description: Node) -> None:
    """A reason for a field that no longer exists must be removed."""
    for name, reasons in LEFT_OUT.items():
        fields = {field[0] for field in Answers(description).iter_fields(name)}
        assert reasons.keys() <= fields, name


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.table)
def test_the_key_of_an_endpoint_fills_all_key_columns_of_its_table(entity: ReferenceEntity) -> None:
    """A key column that the element does not fill would get a surrogate key."""
    table = TABLES[entity.table]
    columns = [column for column in table.columns if column.name in table.key and column.path]
    expected = {".".join(column.path): KINDS[str(column.type)] for column in columns}
    assert entity.endpoint.key == expected
