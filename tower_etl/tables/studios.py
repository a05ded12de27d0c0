"""Interactive sessions: `studios`."""

from __future__ import annotations

from tower_etl.tables.column import ApiObject, missing_since, undocumented
from tower_etl.tables.table import TableSpec

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
