"""Tables of compute resources: `compute_envs`, `credentials`, `pipeline_secrets`, `studios`.

`credentials` and `pipeline_secrets` have no column `undocumented`, because undocumented fields of
their records could contain the secrets themselves.
"""

from __future__ import annotations

from tower_etl.schema.table import define_table
from tower_etl.schema.types import LOCAL, MISSING_SINCE, UNDOCUMENTED, ApiObject

ENTRY = ApiObject("ListComputeEnvsResponse.Entry")
DETAIL = ApiObject("ComputeEnvResponseDto")
MACHINE = ApiObject("ComputeEnvResources", ("resources",))
CREDENTIALS_SCHEMA = ApiObject("Credentials")
SECRET = ApiObject("PipelineSecret")

COMPUTE_ENV_DETAILS = (
    DETAIL.integer("orgId", "Organization of the workspace (`organizations.org_id`)."),
    DETAIL.text("awsAccountId", "Identifier of the AWS account that the compute environment uses."),
    DETAIL.text(
        "managedIdentityId", "Identifier of the managed identity that replaces credentials."
    ),
    DETAIL.boolean("fusionMetricsCollectionEnabled", "Whether Fusion metrics are collected."),
    DETAIL.boolean("deleted", "Whether the compute environment is deleted."),
    *DETAIL.created_and_updated("compute environment"),
    DETAIL.json(
        "config",
        "Settings, a JSON object that differs by platform: queues, machines, roles, scripts and"
        " environment variables. Secrets are masked, also by name (docs/privacy.md).",
    ),
)
"""Columns that are only in the response for a single compute environment, not in the list."""

COMPUTE_ENVS = define_table(
    "compute_envs",
    ENTRY.text("id", "Identifier of the compute environment.", key=True),
    DETAIL.workspace_of("environment"),
    ENTRY.text("workspaceName", "Name of the workspace."),
    ENTRY.text("name", "Name of the compute environment."),
    ENTRY.text("description", "Description of the compute environment."),
    ENTRY.text("platform", "Platform, such as `aws-batch`."),
    ENTRY.text("region", "Region of the platform."),
    ENTRY.text(
        "status", "Status: CREATING, AVAILABLE, DISABLED, DELETING, ERRORED, INVALID or DELETED."
    ),
    ENTRY.text("message", "Message of the platform about the status of the compute environment."),
    ENTRY.boolean("primary", "Whether the compute environment is the default of its workspace."),
    ENTRY.text("visibility", "Visibility: PRIVATE or SHARED."),
    ENTRY.text("workDir", "Work directory of runs."),
    ENTRY.text("credentialsId", "Credentials of the compute environment (`credentials.id`)."),
    ENTRY.boolean("fusion2Enabled", "Whether runs use Fusion."),
    ENTRY.boolean("waveEnabled", "Whether runs use Wave."),
    ENTRY.boolean("schedEnabled", "Whether runs use Seqera's scheduler."),
    ENTRY.timestamp("lastUsed", "Time of the last use of the compute environment."),
    ENTRY.json("labels", "Labels of the compute environment, a JSON list of objects."),
    MACHINE.integer("cpus", "CPUs of the machine.", "CPUs"),
    MACHINE.integer("memory", "Memory of the machine.", "MB"),
    MACHINE.integer("gpus", "GPUs of the machine.", "GPUs"),
    MACHINE.boolean("gpuEnabled", "Whether the machine has GPUs."),
    MACHINE.integer("diskSize", "Disk of the machine.", "GB"),
    MACHINE.number("estimatedPrice", "Price of the machine, as estimated by the platform.", "USD"),
    MACHINE.text("instanceType", "Type of the machine."),
    *COMPUTE_ENV_DETAILS,
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Compute environments.",
    grain="One row per compute environment.",
    source="GET /compute-envs?attributes=labels,resources, and GET /compute-envs/{computeEnvId}",
)

CREDENTIALS = define_table(
    "credentials",
    CREDENTIALS_SCHEMA.text("id", "Identifier of the credentials.", key=True),
    LOCAL.workspace_of("credentials"),
    CREDENTIALS_SCHEMA.text("name", "Name of the credentials."),
    CREDENTIALS_SCHEMA.text("description", "Description of the credentials."),
    CREDENTIALS_SCHEMA.text("provider", "Provider: aws, azure, github and others."),
    CREDENTIALS_SCHEMA.text("category", "Category of the provider: cloud, git, ssh and others."),
    CREDENTIALS_SCHEMA.text("baseUrl", "Base URL that the credentials are valid for."),
    CREDENTIALS_SCHEMA.boolean("deleted", "Whether the credentials are deleted."),
    CREDENTIALS_SCHEMA.text("status", "Result of the last validation: AVAILABLE or INVALID."),
    CREDENTIALS_SCHEMA.text("message", "Message of the provider if the validation failed."),
    CREDENTIALS_SCHEMA.timestamp("lastValidated", "Time of the last validation."),
    CREDENTIALS_SCHEMA.timestamp("lastUsed", "Time of the last use of the credentials."),
    CREDENTIALS_SCHEMA.timestamp("dateCreated", "Time at which the credentials were created."),
    CREDENTIALS_SCHEMA.timestamp("lastUpdated", "Time of the last change of the credentials."),
    MISSING_SINCE,
    description="Metadata of credentials; the platform does not return the keys.",
    grain="One row per set of credentials.",
    source="GET /credentials",
)

PIPELINE_SECRETS = define_table(
    "pipeline_secrets",
    SECRET.integer("id", "Identifier of the secret.", key=True),
    LOCAL.workspace_of("secret"),
    SECRET.text("name", "Name by which pipelines use the secret."),
    SECRET.timestamp("lastUsed", "Time of the last use of the secret."),
    *SECRET.created_and_updated("secret"),
    MISSING_SINCE,
    description="Names of the secrets for pipelines; the platform does not return their values.",
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

STUDIOS = define_table(
    "studios",
    STUDIO.text("sessionId", "Identifier of the studio.", key=True),
    STUDIO.workspace_of("studio"),
    STUDIO.text("name", "Name of the studio."),
    STUDIO.text("description", "Description of the studio."),
    STUDIO.text("studioUrl", "URL of the studio."),
    STUDIO.boolean("isPrivate", "Whether only the owner may open the studio."),
    STUDIO.json(
        "allowedUsers",
        "Users besides the owner who may open a private studio, a JSON list of objects.",
    ),
    STUDIO.boolean("customImage", "Whether the studio runs a custom image."),
    STUDIO.text("baseImage", "Base image of the custom image."),
    STUDIO.text("waveBuildUrl", "URL of the Wave build of the image."),
    STUDIO.integer("effectiveLifespanHours", "Maximum duration of a session.", "h"),
    *STUDIO.created_and_updated("studio"),
    STUDIO.timestamp("lastStarted", "Time of the last start of the studio."),
    OWNER.integer("id", "Identifier of the owner."),
    OWNER.text("userName", "User name of the owner."),
    OWNER.text("email", "E-mail address of the owner."),
    OWNER.text("avatar", "URL of the owner's profile picture."),
    STATUS.text("status", "Status of the studio: running, stopped, errored and others."),
    STATUS.text("message", "Message of the platform about the status of the studio."),
    STATUS.text("stopReason", "Reason why the studio stopped, such as LIFESPAN_EXPIRED."),
    STATUS.timestamp("lastUpdate", "Time of the last change of the status."),
    BASE_ENV.text("id", "Compute environment of the studio (`compute_envs.id`)."),
    BASE_ENV.text("name", "Name of the studio's compute environment."),
    BASE_ENV.text("platform", "Platform of the studio's compute environment."),
    BASE_ENV.text("region", "Region of the studio's compute environment."),
    ENV.text(
        "credentialsId", "Credentials of the studio's compute environment (`credentials.id`)."
    ),
    ENV.text("workDir", "Work directory of the studio's compute environment."),
    CONFIGURATION.integer("cpu", "Requested CPUs.", "CPUs"),
    CONFIGURATION.integer("memory", "Requested memory.", "MB"),
    CONFIGURATION.integer("gpu", "Requested GPUs.", "GPUs"),
    CONFIGURATION.integer("lifespanHours", "Requested maximum duration of a session.", "h"),
    CONFIGURATION.text("condaEnvironment", "Conda packages added to the image."),
    CONFIGURATION.json("environment", "Environment variables, a JSON object."),
    CONFIGURATION.json("mountData", "Mounted data links, a JSON list; deprecated by the API."),
    CONFIGURATION.json(
        "mountDataV2", "Mounted data links and their mount points, a JSON list of objects."
    ),
    CONFIGURATION.boolean("sshEnabled", "Whether SSH access is enabled."),
    TEMPLATE.text("repository", "Image of the template."),
    TEMPLATE.text("tool", "Tool of the template, such as `jupyter`."),
    TEMPLATE.text("status", "Status of the template: recommended, deprecated and others."),
    TEMPLATE.text("icon", "Icon of the template."),
    CHECKPOINT.integer(
        "checkpointId", "Identifier of the checkpoint that the studio was started from."
    ),
    CHECKPOINT.text("checkpointName", "Name of the checkpoint that the studio was started from."),
    CHECKPOINT.text("sessionId", "Identifier of the studio to which the checkpoint belongs."),
    CHECKPOINT.text("studioName", "Name of the studio to which the checkpoint belongs."),
    REMOTE.text("repository", "Git repository of the studio's configuration."),
    REMOTE.text("revision", "Branch, tag or commit of the studio's configuration."),
    REMOTE.text("commitId", "Commit of the studio's configuration."),
    SSH.text("host", "Host for SSH access."),
    SSH.integer("port", "Port for SSH access.", "port"),
    SSH.text("user", "User name for SSH access."),
    SSH.text("command", "Complete SSH command."),
    STUDIO.json("activeConnections", "Connected users, a JSON list of objects."),
    STUDIO.json("mountedDataLinks", "Currently mounted data links, a JSON list of objects."),
    STUDIO.json("labels", "Labels of the studio, a JSON list of objects."),
    STUDIO.json("progress", "Progress of the start of the studio, a JSON list of steps."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Studios: interactive sessions such as JupyterLab or RStudio.",
    grain="One row per studio.",
    source="GET /studios?attributes=labels",
)
