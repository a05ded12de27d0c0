"""Where runs run and what opens it: `compute_envs`, `credentials` and `pipeline_secrets`.

The last two know the columns named here and nothing else: what a server may send beside them could
be the secret itself, so they have no `undocumented`.
"""

from __future__ import annotations

from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    INTEGER,
    ApiObject,
    ColumnSpec,
    missing_since,
    undocumented,
    workspace_id,
)

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


STUDIO = ApiObject("DataStudioDto")
OWNER = ApiObject("UserInfo", ("user",))
BASE_ENV = ApiObject("ComputeEnvDbDto", ("computeEnv",))
ENV = ApiObject("DataStudioComputeEnvDto", ("computeEnv",))
CONFIGURATION = ApiObject("DataStudioConfiguration", ("configuration",))
CHECKPOINT = ApiObject("DataStudioDto.ParentCheckpoint", ("parentCheckpoint",))
REMOTE = ApiObject("StudioRemoteConfiguration", ("remoteConfig",))
SSH = ApiObject("StudioSshDetailsDto", ("sshDetails",))
STATUS = ApiObject("DataStudioStatusInfo", ("statusInfo",))
TEMPLATE = ApiObject("DataStudioTemplate", ("template",))

STUDIOS = TableSpec(
    name="studios",
    key=("session_id",),
    columns=(
        STUDIO.text("sessionId", "Identifier of the studio.", key=True),
        STUDIO.integer(
            "workspaceId", "Workspace of the studio (`workspaces.id`); null is the personal one."
        ),
        STUDIO.text("name", "Name of the studio."),
        STUDIO.text("description", "What the studio is for."),
        STUDIO.text("studioUrl", "Address of the studio."),
        STUDIO.boolean("isPrivate", "Whether only its owner may open it."),
        STUDIO.json(
            "allowedUsers",
            "Users other than its owner who may open a private studio, a JSON list of objects.",
        ),
        STUDIO.boolean("customImage", "Whether it runs an image of its own."),
        STUDIO.text("baseImage", "Image that it is built on."),
        STUDIO.text("waveBuildUrl", "Address of the build of its image."),
        STUDIO.integer("effectiveLifespanHours", "How long a session may last.", "h"),
        STUDIO.timestamp("dateCreated", "When the studio was made."),
        STUDIO.timestamp("lastUpdated", "When the studio was last changed."),
        STUDIO.timestamp("lastStarted", "When it was last started."),
        OWNER.integer("id", "Identifier of its owner."),
        OWNER.text("userName", "Name of its owner."),
        OWNER.text("email", "Address of its owner."),
        OWNER.text("avatar", "Address of the picture of its owner."),
        STATUS.text("status", "State of the studio: running, stopped, errored and so on."),
        STATUS.text("message", "What the platform says of that status."),
        STATUS.text("stopReason", "Why it stopped, such as LIFESPAN_EXPIRED."),
        STATUS.timestamp("lastUpdate", "When that status was set."),
        BASE_ENV.text("id", "Compute environment that it runs in (`compute_envs.id`)."),
        BASE_ENV.text("name", "Name of that compute environment."),
        BASE_ENV.text("platform", "Platform of that compute environment."),
        BASE_ENV.text("region", "Region of that compute environment."),
        ENV.text("credentialsId", "Credentials of that compute environment (`credentials.id`)."),
        ENV.text("workDir", "Work directory of that compute environment."),
        CONFIGURATION.integer("cpu", "CPUs asked for.", "CPUs"),
        CONFIGURATION.integer("memory", "Memory asked for.", "MB"),
        CONFIGURATION.integer("gpu", "GPUs asked for.", "GPUs"),
        CONFIGURATION.integer("lifespanHours", "How long a session may last, as asked for.", "h"),
        CONFIGURATION.text("condaEnvironment", "Conda packages added to the image."),
        CONFIGURATION.json("environment", "Environment variables, a JSON object."),
        CONFIGURATION.json("mountData", "Data links mounted, a JSON list; deprecated by the API."),
        CONFIGURATION.json("mountDataV2", "Data links mounted and where, a JSON list of objects."),
        CONFIGURATION.boolean("sshEnabled", "Whether it can be reached by SSH."),
        TEMPLATE.text("repository", "Image of its template."),
        TEMPLATE.text("tool", "Tool of its template, such as `jupyter`."),
        TEMPLATE.text("status", "Whether the template is recommended, deprecated and so on."),
        TEMPLATE.text("icon", "Icon of the template."),
        CHECKPOINT.integer("checkpointId", "Checkpoint that it started from."),
        CHECKPOINT.text("checkpointName", "Name of that checkpoint."),
        CHECKPOINT.text("sessionId", "Studio that the checkpoint is of."),
        CHECKPOINT.text("studioName", "Name of that studio."),
        REMOTE.text("repository", "Repository that its configuration comes from."),
        REMOTE.text("revision", "Branch, tag or commit there."),
        REMOTE.text("commitId", "Commit there."),
        SSH.text("host", "Host to reach by SSH."),
        SSH.integer("port", "Port to reach by SSH.", "port"),
        SSH.text("user", "User to name by SSH."),
        SSH.text("command", "SSH command in full."),
        STUDIO.json("activeConnections", "Who is connected, a JSON list of objects."),
        STUDIO.json("mountedDataLinks", "Data links mounted now, a JSON list of objects."),
        STUDIO.json("labels", "Labels of the studio, a JSON list of objects."),
        STUDIO.json("progress", "Steps of its start, a JSON list of objects."),
        missing_since(),
        undocumented(),
    ),
    description="Studios: interactive sessions beside the data.",
    grain="One row per studio.",
    source="GET /studios?attributes=labels",
)
