"""Where runs run and what opens it: `compute_envs`, `credentials` and `pipeline_secrets`.

The last two know the columns named here and nothing else: what a server may send beside them could
be the secret itself, so they have no `undocumented`.
"""

from __future__ import annotations

from tower_etl.tables.column import (
    INTEGER,
    ApiObject,
    ColumnSpec,
    missing_since,
    undocumented,
    workspace_id,
)
from tower_etl.tables.table import TableSpec

COMPUTE_ENV = ApiObject("ListComputeEnvsResponse.Entry")
DETAIL = ApiObject("ComputeEnvResponseDto")
RESOURCES = ApiObject("ComputeEnvResources", ("resources",))
CREDENTIALS_SCHEMA = ApiObject("Credentials")
SECRET = ApiObject("PipelineSecret")

COMPUTE_ENV_DETAILS = (
    DETAIL.integer("orgId", "Organisation of the workspace (`organizations.org_id`)."),
    DETAIL.text("awsAccountId", "AWS account that it uses."),
    DETAIL.text("managedIdentityId", "Managed identity that it uses in place of credentials."),
    DETAIL.boolean("fusionMetricsCollectionEnabled", "Whether metrics of Fusion are collected."),
    DETAIL.boolean("deleted", "Whether the compute environment is deleted."),
    DETAIL.timestamp("dateCreated", "When the compute environment was made."),
    DETAIL.timestamp("lastUpdated", "When the compute environment was last changed."),
    DETAIL.json(
        "config",
        "Its settings, a JSON object that differs by platform: queues, machines, roles, scripts and"
        " environment variables. Secrets are replaced, by name as well (docs/privacy.md).",
    ),
)
"""Columns that the call for one compute environment fills, and the list of them does not."""

COMPUTE_ENVS = TableSpec(
    name="compute_envs",
    key=("id",),
    columns=(
        COMPUTE_ENV.text("id", "Identifier of the compute environment.", key=True),
        ColumnSpec(
            "workspace_id",
            INTEGER,
            ("workspaceId",),
            "Workspace of the compute environment (`workspaces.id`); null is the personal one.",
            unit=None,
            source="ComputeEnvResponseDto.workspaceId",
        ),
        COMPUTE_ENV.text("workspaceName", "Name of the workspace."),
        COMPUTE_ENV.text("name", "Name of the compute environment."),
        COMPUTE_ENV.text("description", "What the compute environment is for."),
        COMPUTE_ENV.text("platform", "Platform, such as `aws-batch`."),
        COMPUTE_ENV.text("region", "Region of the platform."),
        COMPUTE_ENV.text(
            "status", "CREATING, AVAILABLE, DISABLED, DELETING, ERRORED, INVALID or DELETED."
        ),
        COMPUTE_ENV.text("message", "What the platform says of that status."),
        COMPUTE_ENV.boolean("primary", "Whether it is the default of its workspace."),
        COMPUTE_ENV.text("visibility", "Who sees it: PRIVATE or SHARED."),
        COMPUTE_ENV.text("workDir", "Work directory of runs."),
        COMPUTE_ENV.text("credentialsId", "Credentials that it uses (`credentials.id`)."),
        COMPUTE_ENV.boolean("fusion2Enabled", "Whether runs use Fusion."),
        COMPUTE_ENV.boolean("waveEnabled", "Whether runs use Wave."),
        COMPUTE_ENV.boolean("schedEnabled", "Whether runs use Seqera's scheduler."),
        COMPUTE_ENV.timestamp("lastUsed", "When it was last used."),
        COMPUTE_ENV.json("labels", "Labels of the compute environment, a JSON list of objects."),
        RESOURCES.integer("cpus", "CPUs of its machine.", "CPUs"),
        RESOURCES.integer("memory", "Memory of its machine.", "MB"),
        RESOURCES.integer("gpus", "GPUs of its machine.", "GPUs"),
        RESOURCES.boolean("gpuEnabled", "Whether its machine has GPUs."),
        RESOURCES.integer("diskSize", "Disk of its machine.", "GB"),
        RESOURCES.number("estimatedPrice", "Price of its machine, as the platform guesses.", "USD"),
        RESOURCES.text("instanceType", "Type of its machine."),
        *COMPUTE_ENV_DETAILS,
        missing_since(),
        undocumented(),
    ),
    description="Compute environments.",
    grain="One row per compute environment.",
    source="GET /compute-envs?attributes=labels,resources, and GET /compute-envs/{computeEnvId}",
)

CREDENTIALS = TableSpec(
    name="credentials",
    key=("id",),
    columns=(
        CREDENTIALS_SCHEMA.text("id", "Identifier of the credentials.", key=True),
        workspace_id("Workspace of the credentials (`workspaces.id`); null is the personal one."),
        CREDENTIALS_SCHEMA.text("name", "Name of the credentials."),
        CREDENTIALS_SCHEMA.text("description", "What the credentials are for."),
        CREDENTIALS_SCHEMA.text("provider", "What they open: aws, azure, github and so on."),
        CREDENTIALS_SCHEMA.text("category", "Kind of provider: cloud, git, ssh and so on."),
        CREDENTIALS_SCHEMA.text("baseUrl", "Address that they are for."),
        CREDENTIALS_SCHEMA.boolean("deleted", "Whether the credentials are deleted."),
        CREDENTIALS_SCHEMA.text("status", "AVAILABLE or INVALID, as when they were last tried."),
        CREDENTIALS_SCHEMA.text("message", "What the provider said when they did not."),
        CREDENTIALS_SCHEMA.timestamp("lastValidated", "When they were last tried."),
        CREDENTIALS_SCHEMA.timestamp("lastUsed", "When they were last used."),
        CREDENTIALS_SCHEMA.timestamp("dateCreated", "When the credentials were made."),
        CREDENTIALS_SCHEMA.timestamp("lastUpdated", "When the credentials were last changed."),
        missing_since(),
    ),
    description="Credentials, without the keys that they hold.",
    grain="One row per credentials.",
    source="GET /credentials",
)

PIPELINE_SECRETS = TableSpec(
    name="pipeline_secrets",
    key=("id",),
    columns=(
        SECRET.integer("id", "Identifier of the secret.", key=True),
        workspace_id("Workspace of the secret (`workspaces.id`); null is the personal one."),
        SECRET.text("name", "Name of the secret, as pipelines ask for it."),
        SECRET.timestamp("lastUsed", "When the secret was last used."),
        SECRET.timestamp("dateCreated", "When the secret was made."),
        SECRET.timestamp("lastUpdated", "When the secret was last changed."),
        missing_since(),
    ),
    description="Names of the secrets that pipelines may ask for; the platform gives no values.",
    grain="One row per secret.",
    source="GET /pipeline-secrets",
)
