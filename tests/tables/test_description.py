"""The table specifications agree with the published API description."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from tower_etl.schema import (
    HISTORY_TABLES,
    TABLES,
    service_rows,
)
from tower_etl.schema.tasks import METRIC_UNITS

if TYPE_CHECKING:
    from tower_etl.schema import ColumnSpec, TableSpec

pytestmark = pytest.mark.shared

Fields = dict[str, tuple[pa.DataType, bool]]

SCHEMAS: dict[str, list[str]] = {
    "workflows": [
        "WorkflowMaxDbDto",
        "DescribeWorkflowResponse",
        "ListWorkflowsResponse.ListWorkflowsElement",
    ],
    "tasks": ["Task"],
    "workflow_progress": ["WorkflowLoad", "ProgressData"],
    "process_progress": ["ProcessLoad"],
    "process_metrics": ["WorkflowMetrics", "ResourceData"],
    "labels": ["LabelDbDto"],
    "organizations": ["OrganizationDbDto"],
    "organization_quotas": ["OrganizationQuotas"],
    "workspaces": ["WorkspaceDbDto", "OrgAndWorkspaceDto"],
    "pipelines": ["PipelineDbDto"],
    "pipeline_versions": ["PipelineDbDto"],
    "compute_envs": ["ListComputeEnvsResponse.Entry", "ComputeEnvResponseDto"],
    "actions": ["ListActionsResponse.ActionInfo"],
    "launches": ["LaunchDbDto"],
    "launch_datasets": ["DatasetVersionDto"],
    "datasets": ["DatasetDto"],
    "dataset_versions": ["DatasetVersionDto"],
    "data_links": ["DataLinkDto"],
    "studios": ["DataStudioDto"],
    "credentials": ["Credentials"],
    "pipeline_secrets": ["PipelineSecret"],
    "members": ["MemberDbDto"],
    "collaborators": ["MemberDbDto"],
    "teams": ["TeamDbDto"],
    "team_members": ["MemberDbDto"],
    "participants": ["ParticipantResponseDto"],
    "service_info": ["ServiceInfo"],
    "audit_logs": ["AuditLogV2ResponseDto"],
}
BY_OURSELVES = {
    "workflow_labels",
    "users",
    "sync_runs",
}  # not built from one object of the description
YOUNGER = {"audit_logs"}  # tables that the oldest version does not have
WITHHELD = {
    "credentials": {"keys"},  # secrets of the provider
    "service_info": {"analytics"},  # keys of web analytics services
}
ELSEWHERE = {
    "workflows": {"workflow", "progress", "labels"},
    "workflow_progress": {"workflow_progress", "processes_progress"},
    "process_metrics": set(METRIC_UNITS),
}
RENAMED = {
    "process_metrics": {"id": "metric_id"},
    "workspaces": {"workspace_name": "name", "workspace_full_name": "full_name"},
    "audit_logs": {"target__workspace__id": "workspace_id"},
}
# Named by the platform's command line for an API after 1.187, whose description is missing here.
AFTER_THE_NEWEST = {"sched_config__max_spot_attempts", "sched_config__max_cpus_per_user"}
UNDOCUMENTED = {
    "workflows": {"peak_load_cpus", "peak_load_tasks", "peak_load_memory"} | AFTER_THE_NEWEST,
    "process_metrics": {"metric"},
}
MOMENT = pa.timestamp("us", "UTC")
SCALARS = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}
AS_JSON = {"AuditLogTargetState"}  # states before and after, of any kind of object
AS_TEXT = {"exit"}  # a string on older servers, an integer on newer ones


def to_snake_case(name: str) -> str:
    """Convert camelCase to snake_case, independently of the code under test."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def list_properties(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of a schema, through references and `allOf`."""
    if "$ref" in schema:
        return list_properties(schemas, schemas[schema["$ref"].split("/")[-1]])
    found: dict[str, Any] = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        found |= list_properties(schemas, part)
    return found


def is_of_many_shapes(schemas: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Return whether the fields of an object differ by its kind, so that it is kept as JSON."""
    name = schema.get("$ref", "").split("/")[-1] or "".join(
        part["$ref"].split("/")[-1] for part in schema.get("allOf", []) if "$ref" in part
    )
    return "discriminator" in schemas.get(name, {}).get("properties", {}) or name in AS_JSON


def list_fields(schemas: dict[str, Any], schema: dict[str, Any], skip: set[str]) -> Fields:
    """Return the columns for a schema: name -> Arrow type, and whether it is JSON."""
    found: Fields = {}
    for name, declared in list_properties(schemas, schema).items():
        column = to_snake_case(name)
        if column in skip:
            continue
        inner = list_fields(schemas, declared, set())
        if is_of_many_shapes(schemas, declared):
            found[column] = (pa.string(), True)
        elif inner:
            found |= {f"{column}__{part}": kind for part, kind in inner.items()}
        elif declared.get("type") in ("array", "object"):
            found[column] = (pa.string(), True)
        elif declared.get("format") == "date-time":
            found[column] = (MOMENT, False)
        else:
            kind = pa.string() if column in AS_TEXT else SCALARS[declared.get("type", "string")]
            found[column] = (kind, False)
    return found


def list_expected(schemas: dict[str, Any], table: str) -> Fields:
    """Return the columns of a table according to the description."""
    found: Fields = {}
    skip = ELSEWHERE.get(table, set()) | WITHHELD.get(table, set())
    for name in SCHEMAS[table]:
        if name in schemas or table not in YOUNGER:
            found |= list_fields(schemas, schemas[name], skip)
    return {RENAMED.get(table, {}).get(name, name): kind for name, kind in found.items()}


def list_columns() -> list[tuple[TableSpec, ColumnSpec]]:
    """Return every column with its table."""
    return [(table, column) for table in TABLES.values() for column in table.columns]


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_documented_field_has_a_column_of_its_type(
    schemas: dict[str, Any], table: str
) -> None:
    """Every version of the API description is checked."""
    expected = list_expected(schemas, table)
    built = {c.name: (c.type, c.is_json) for c in TABLES[table].columns}
    assert expected == {name: built.get(name) for name in expected}
    assert bool(expected) or table in YOUNGER


def test_every_table_is_compared_with_the_description() -> None:
    """Exceptions are history tables, and tables that no single object of the description fills."""
    versions = {table.name for table in HISTORY_TABLES.values()}
    assert set(TABLES) == set(SCHEMAS) | BY_OURSELVES | versions


@pytest.mark.parametrize("entity", HISTORY_TABLES)
def test_a_history_table_has_the_columns_of_its_entity_table(entity: str) -> None:
    """It also has the validity period, whose start is part of the key."""
    own = {column.name: column.type for column in TABLES[entity].columns}
    versions = {column.name: column.type for column in HISTORY_TABLES[entity].columns}
    del versions["valid_from"], versions["valid_to"]
    assert own == versions | {"missing_since": MOMENT}
    assert (*TABLES[entity].key, "valid_from") == HISTORY_TABLES[entity].key


@pytest.mark.parametrize("table", WITHHELD)
def test_secret_fields_are_documented_but_have_no_column(
    all_schemas: list[dict[str, Any]], table: str
) -> None:
    schema = all_schemas[-1][SCHEMAS[table][0]]
    assert WITHHELD[table] <= {
        to_snake_case(name) for name in list_properties(all_schemas[-1], schema)
    }
    assert not WITHHELD[table] & {column.name for column in TABLES[table].columns}


@pytest.mark.parametrize("table", ["credentials", "pipeline_secrets"])
def test_undocumented_fields_of_secrets_are_dropped(table: str) -> None:
    """An undocumented field might be the secret itself."""
    (row,) = TABLES[table].build([{"id": "1", "keys": {"a": "s3cret"}, "v": "s3cret"}]).to_pylist()
    assert "s3cret" not in str(row)


def test_analytics_keys_of_the_service_info_are_dropped() -> None:
    """They belong to the platform's web pages."""
    info = {"version": "1", "analytics": {"posthogApiKey": "s3cret"}}
    (row,) = service_rows(info, "s", datetime(2026, 1, 2, tzinfo=UTC)).to_pylist()
    assert "s3cret" not in str(row)
    assert row["version"] == "1"


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_api_column_is_documented_or_listed_as_undocumented(
    all_schemas: list[dict[str, Any]], table: str
) -> None:
    documented = {name for schemas in all_schemas for name in list_expected(schemas, table)}
    claimed = {column.name for column in TABLES[table].columns if column.path}
    assert UNDOCUMENTED.get(table, set()) == claimed - documented


def test_the_source_of_every_column_is_a_field_of_the_description(
    all_schemas: list[dict[str, Any]],
) -> None:
    """A source such as `ApiObject.field` can be looked up in a published version."""
    known = {
        f"{name}.{field}"
        for schemas in all_schemas
        for name, schema in schemas.items()
        for field in list_properties(schemas, schema)
    }
    exempt = {"workflows": UNDOCUMENTED["workflows"], "process_metrics": {"metric"}}
    strange = [
        (table.name, column.source)
        for table, column in list_columns()
        if column.path and column.name not in exempt.get(table.name, set())
        if column.source not in known
    ]
    assert strange == []


def test_every_documented_metric_has_a_unit(
    all_schemas: list[dict[str, Any]],
) -> None:
    """The metrics are those of the newest API description."""
    quantities = set(all_schemas[-1]["WorkflowMetrics"]["properties"]) - {"id", "process"}
    assert {to_snake_case(quantity) for quantity in quantities} == set(METRIC_UNITS)


def test_fields_of_a_run_and_fields_around_it_never_share_a_name(schemas: dict[str, Any]) -> None:
    """Both kinds of fields become columns of the same row."""
    run = set(list_properties(schemas, schemas["WorkflowMaxDbDto"]))
    around = set(schemas["DescribeWorkflowResponse"]["properties"])
    around |= set(schemas["ListWorkflowsResponse.ListWorkflowsElement"]["properties"])
    assert set() == run & around


def test_every_column_description_is_a_sentence() -> None:
    bad = [
        (table.name, column.name)
        for table, column in list_columns()
        if not re.fullmatch(r"[A-Z`].*\.", column.description)
    ]
    assert bad == []


def test_every_numeric_column_except_ids_and_exit_codes_has_a_unit() -> None:
    bare = {
        column.name
        for _, column in list_columns()
        if column.type in (pa.int64(), pa.float64()) and column.unit is None
    }
    identifiers = {name for name in bare if re.search(r"(^|_)id$", name)}
    assert {"exit_status", "job_info__exit_code"} == bare - identifiers


def test_every_time_column_is_utc_with_microseconds() -> None:
    moments = [column for _, column in list_columns() if pa.types.is_timestamp(column.type)]
    assert {(MOMENT, "UTC")} == {(column.type, column.unit) for column in moments}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_column_names_are_unique_and_unchanged_by_dlt_naming(table: TableSpec) -> None:
    names = [column.name for column in table.columns]
    naming = NamingConvention()
    assert names == [naming.normalize_path(name) for name in names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_exactly_the_key_columns_are_not_nullable(table: TableSpec) -> None:
    """The Arrow schema agrees with the column specifications."""
    required = {column.name for column in table.columns if not column.nullable}
    assert set(table.key) == required
    assert set(table.key) == {field.name for field in table.arrow_schema if not field.nullable}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_every_table_has_an_integer_workspace_id(table: TableSpec) -> None:
    """The merge key is a part of the key."""
    assert pa.int64() == table.arrow_schema.field("workspace_id").type
    assert set(table.merge_key) <= set(table.key)
