"""The column policy: redaction, exclusion, hashing and promotion of columns."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.privacy.secret_samples import list_leaks, plant
from tests.run_tables import build_run
from tests.tables.test_table import API_TABLES, flipped_records, nest
from tower_etl.config.settings import PrivacySettings
from tower_etl.errors import ConfigurationError
from tower_etl.extract.destination_state import _RUN_COLUMNS
from tower_etl.schema import TABLES
from tower_etl.transform import ColumnPolicy
from tower_etl.transform.privacy import STATE_COLUMNS, find_column, is_required


def make_keys(name: str) -> dict[str, Any]:
    """Return values for the local key columns of a table."""
    given = [c for c in TABLES[name].columns if not c.nullable and not c.path]
    return {c.name: pa.scalar(1).cast(c.type).as_py() for c in given}


def treat(name: str, *records: object, **wishes: Any) -> list[dict[str, Any]]:
    """Return the rows of a table after the column policy, which must be idempotent."""
    column_policy = ColumnPolicy.from_settings(PrivacySettings(**wishes), TABLES)
    keys = make_keys(name)
    once = column_policy.apply({name: TABLES[name].build(records, **keys)})
    twice = column_policy.apply(once)[name].to_pylist()
    rows: list[dict[str, Any]] = once[name].to_pylist()
    assert rows == twice
    assert column_policy.specs[name].arrow_schema == once[name].schema
    return rows


def test_secrets_are_masked_and_the_surrounding_text_is_kept() -> None:
    """Secrets are in text, in JSON and in extra fields. Rows without secrets do not change."""
    dirty = {
        "taskId": 1,
        "script": f"echo 1\n{plant('password')}\necho 2",
        "module": [plant("GitHub token")],
        "fresh": {"db_password": "x y", "maxToken": 5, "note": plant("platform token")},
    }
    rows = treat("tasks", dirty, {"taskId": 2, "script": "echo é"}, {"taskId": 3})
    assert rows[0]["script"] == "echo 1\npassword=***\necho 2"
    assert json.loads(rows[0]["module"]) == ["git clone https://***@github.com/x/y"]
    fresh = {"db_password": "***", "maxToken": 5, "note": "***"}
    assert json.loads(rows[0]["undocumented"]) == {"fresh": fresh}
    assert [row["script"] for row in rows[1:]] == ["echo é", None]


def test_key_columns_are_not_redacted() -> None:
    """A changed key could merge two rows into one."""
    (row,) = treat("process_progress", {"process": "password=hunter2"})
    assert row["process"] == "password=hunter2"


def test_redacted_json_is_valid_and_keeps_its_types() -> None:
    """Numbers and texts with the name of a secret are masked; nulls and booleans are kept."""
    params = {
        "password": 12345,
        "secret": None,
        "token": True,
        "api_key": ["a", {"b": "c"}],
        "big": 2**70,
        "note": 'password="a\\"b"',
        "AKIAQ3EXAMPLEKEY7ABC": 1,
    }
    (row,) = treat("workflows", {"id": "r", "params": params})
    expected = {
        "password": "***",
        "secret": None,
        "token": True,
        "api_key": ["***", {"b": "c"}],
        "big": 2**70,
        "note": 'password="***"',
        "***": 1,
    }
    assert expected == json.loads(row["params"])


def test_json_beyond_the_maximum_depth_is_masked() -> None:
    """Deep nesting neither raises an error nor hides a secret."""
    deep: Any = plant("password")
    for _ in range(300):
        deep = [deep]
    (row,) = treat("workflows", {"id": "r", "params": deep, "fresh": deep})
    assert list_leaks(row["params"] + row["undocumented"]) == []
    assert row["params"] == "[" * 100 + '"***"' + "]" * 100


@pytest.mark.slow
@given(data=st.data(), name=st.sampled_from(API_TABLES))
def test_any_record_keeps_its_key_its_schema_and_valid_json(data: st.DataObject, name: str) -> None:
    """Fields hold values of any type with secrets in their texts."""
    values = data.draw(flipped_records(name))
    dirty = {path: _corrupt(value) for path, value in values.items()}
    (row,) = treat(name, nest(dirty), excluded=["undocumented"] if len(dirty) % 2 else [])
    keys = make_keys(name)
    (raw,) = TABLES[name].build([nest(dirty)], **keys).to_pylist()
    assert [row[key] for key in TABLES[name].key] == [raw[key] for key in TABLES[name].key]
    for column in TABLES[name].columns:
        if column.is_json and row[column.name] is not None:
            json.loads(row[column.name])


def _corrupt(value: Any) -> Any:
    return f"{value} {plant('password')}" if isinstance(value, str) else value


def test_error_messages_in_sync_runs_are_redacted() -> None:
    """The errors of workspaces may quote a response of the server."""
    batch = TABLES["sync_runs"].build(
        [{}], id="s", workspaces=[{"id": 1, "error": plant("bearer header")}]
    )
    (row,) = ColumnPolicy(TABLES).apply({"sync_runs": batch})["sync_runs"].to_pylist()
    assert list_leaks(row["workspaces"]) == []


def test_mail_addresses_are_masked_only_on_request() -> None:
    """They are personal data, not secrets."""
    record = {"id": "r", "commandLine": "nextflow run x --email ada@lab.example.org -r 1"}
    assert treat("workflows", record)[0]["command_line"] == record["commandLine"]
    (row,) = treat("workflows", record, emails=True)
    assert row["command_line"] == "nextflow run x --email *** -r 1"


def test_an_excluded_column_is_null() -> None:
    """Its invalid values are not kept in `undocumented` either."""
    task = {"taskId": 1, "name": "n", "script": "s", "cpus": "many", "fresh": 1}
    (row,) = treat("tasks", task, excluded=["tasks.script", "cpus"])
    assert (row["script"], row["cpus"], row["name"]) == (None, None, "n")
    assert row["undocumented"] == '{"fresh":1}'


def test_a_digest_depends_on_value_and_salt_only() -> None:
    """Equal values have equal digests, so that hashed columns can be joined. Null stays null."""
    runs = [{"id": str(n), "userName": name} for n, name in enumerate(["ada", "bob", "ada", None])]
    rows = treat("workflows", *runs, hashed=["user_name"], salt="pepper")
    expected = "hash:" + hmac.digest(b"pepper", b"ada", hashlib.sha256).hex()[:32]
    names = [row["user_name"] for row in rows]
    assert (names[0], names[2], names[3]) == (expected, expected, None)
    assert len({*names}) == 3
    assert names[0] != treat("workflows", runs[0], hashed=["user_name"])[0]["user_name"]


def test_the_digest_in_a_json_column_is_valid_json() -> None:
    (row,) = treat("workflows", {"id": "r", "params": {"a": 1}}, hashed=["workflows.params"])
    assert json.loads(row["params"]).startswith("hash:")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"excluded": ["tasks.task_id"]}, r"tasks\.task_id can be neither"),
        ({"excluded": ["workspace_id"]}, "can be neither"),
        ({"excluded": ["process"]}, "can be neither"),
        ({"hashed": ["workflows.status"]}, "can be neither"),
        ({"hashed": ["sync_runs.workspaces"]}, "can be neither"),
        ({"hashed": ["owner_id"]}, r"workflows\.owner_id cannot be hashed: expected a text column"),
        ({"hashed": ["tasks.undocumented"]}, r"tasks\.undocumented cannot be hashed"),
        ({"excluded": ["user_nam"]}, "Did you mean user_name"),
        ({"excluded": ["workflow.user_name"]}, r"Did you mean workflows\.user_name"),
        ({"excluded": ["zzzzzzzz"]}, "data-dictionary"),
        ({"excluded": ["nowhere."]}, "No column"),
        ({"promoted": ["workflows"]}, "expected a field of a table"),
        ({"promoted": ["nowhere.x"]}, "expected a field of a table"),
        ({"promoted": ["workflows.userName:integer"]}, "Cannot promote .* column 'user_name'"),
        ({"promoted": ["workflows.user_name"]}, "Cannot promote .* column 'user_name'"),
        ({"promoted": ["workflows.a-b"]}, "Cannot promote"),
        ({"promoted": ["workflows.foo_"]}, "Cannot promote"),
        ({"promoted": ["workflows." + 64 * "x"]}, "Cannot promote"),
        ({"promoted": ["workflows.x:varchar"]}, "Invalid type .*: expected one of"),
        ({"promoted": ["sync_runs.x"]}, "Cannot promote"),
        ({"promoted": ["tasks.month"]}, "Cannot promote"),
        ({"promoted": ["tasks.rowid"]}, "Cannot promote"),
    ],
)
def test_invalid_column_settings_are_refused_with_advice(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ColumnPolicy.from_settings(PrivacySettings(**wish), TABLES)


def test_columns_that_a_sync_reads_back_cannot_be_excluded() -> None:
    """Without them, the sync would take every run for changed."""
    assert {*_RUN_COLUMNS} - {"missing_since", "missing_parts"} == STATE_COLUMNS
    assert is_required(TABLES["workflows"], find_column(TABLES["workflows"], "missing_since"))


def test_a_promoted_field_has_a_column_of_its_type() -> None:
    """Invalid values and other extra fields stay in `undocumented`."""
    records = [
        {"taskId": 1, "newThing": "7", "other": 1, "resourceAllocation": {"fresh": [1]}},
        {"taskId": 2, "newThing": "many"},
        {"taskId": 3},
    ]
    promoted = ("tasks.newThing:integer", "tasks.resourceAllocation.fresh:json")
    rows = treat("tasks", *records, promoted=promoted)
    assert [row["new_thing"] for row in rows] == [7, None, None]
    assert rows[0]["resource_allocation__fresh"] == "[1]"
    assert [row["undocumented"] for row in rows] == ['{"other":1}', '{"newThing":"many"}', None]


@pytest.mark.parametrize(
    "name",
    ["workflows.nextflowVersion", "workflows.nextflowVersion:text", "workflows.manifest.version"],
)
def test_a_promoted_field_that_became_documented_keeps_its_column(name: str) -> None:
    """The setting dates from before an upgrade, and must not make the sync fail."""
    assert ColumnPolicy.from_settings(PrivacySettings(promoted=(name,)), TABLES).specs == dict(
        TABLES
    )


def test_promoted_text_is_redacted_and_can_be_excluded() -> None:
    record = {"taskId": 1, "newThing": "password=hunter2"}
    assert treat("tasks", record, promoted=("tasks.newThing",))[0]["new_thing"] == "password=***"
    wishes = {"promoted": ("tasks.newThing",), "excluded": ("new_thing",)}
    assert treat("tasks", record, **wishes)[0]["new_thing"] is None


def test_tables_without_secrets_are_not_changed() -> None:
    described = {"workflow": {"id": "r", "params": {"b": 1, "a": 2.0}, "configText": "x { y = 1 }"}}
    tables = build_run(
        described, workspace_id=1, starred=None, tasks=[[{"task": {"taskId": 1}}]], metrics=[]
    )
    assert tables == ColumnPolicy(TABLES).apply(tables)


VARIABLES: list[dict[str, Any]] = [
    {"name": "DB_PASSWORD", "value": "hunter2", "head": True, "compute": False},
    {"value": "s3cr3t-first", "compute": True, "name": "API_TOKEN"},
    {"key": "vault_secret", "value": "s3cr3t-by-key"},
    {"name": "NXF_OPTS", "value": "-Xms1g"},
]


@pytest.mark.parametrize("table", ["compute_envs", "launches"])
def test_environment_variables_with_secret_names_are_masked(
    table: str,
) -> None:
    """This includes variables in a pod specification and in a script."""
    pod = "spec:\n  env:\n    - name: REGISTRY_PASSWORD\n      value: hunter2-of-a-pod\n"
    script = "export NXF_OPTS='-Xms1g'\nexport GITHUB_TOKEN=t0k3n-of-a-script\n"
    config = {"environment": VARIABLES, "headPodSpec": pod, "preRunScript": script}
    record: dict[str, Any] = {"id": "1", "config": config}
    record = record if table == "compute_envs" else {"id": "1", "computeEnv": record}
    (row,) = treat(table, record)

    kept = json.loads(row["config" if table == "compute_envs" else "compute_env__config"])
    assert [variable["value"] for variable in kept["environment"]] == ["***"] * 3 + ["-Xms1g"]
    assert kept["environment"][0] == VARIABLES[0] | {"value": "***"}
    assert kept["headPodSpec"] == pod.replace("hunter2-of-a-pod", "***")
    assert kept["preRunScript"] == script.replace("t0k3n-of-a-script", "***")


def test_a_single_variable_with_a_secret_name_is_masked() -> None:
    """The prefilter must match although nothing else in the row looks like a secret."""
    for variable in VARIABLES[:3]:
        (row,) = treat("compute_envs", {"id": "1", "config": {"environment": [variable]}})
        assert '"***"' in row["config"]
