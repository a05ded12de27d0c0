"""What can be launched: `pipelines`, `pipeline_versions` and `actions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.tables.column import ApiObject, missing_since, undocumented, workspace_id
from tower_etl.tables.table import TableSpec

if TYPE_CHECKING:
    from tower_etl.tables.column import ColumnSpec

PIPELINE = ApiObject("PipelineDbDto")
COMPUTE_ENV = ApiObject("ComputeEnvDbDto", ("computeEnv",))
VERSION = ApiObject("PipelineVersionFullInfoDto", ("version",))
ACTION = ApiObject("ListActionsResponse.ActionInfo")


def _pipeline_columns(*, of_version: bool) -> tuple[ColumnSpec, ...]:
    return (
        PIPELINE.integer(
            "pipelineId", "Identifier of the pipeline (`pipelines.pipeline_id`).", key=True
        ),
        PIPELINE.integer(
            "workspaceId",
            "Workspace that the pipeline is of (`workspaces.id`); null is the personal one.",
        ),
        PIPELINE.text("workspaceName", "Name of the workspace."),
        PIPELINE.integer("orgId", "Organisation of the workspace (`organizations.org_id`)."),
        PIPELINE.text("orgName", "Name of the organisation."),
        PIPELINE.text("name", "Name of the pipeline, unique in its workspace."),
        PIPELINE.text("description", "What the pipeline does."),
        PIPELINE.text("repository", "Address of the pipeline's repository."),
        PIPELINE.text("visibility", "Who sees it: PRIVATE or SHARED."),
        PIPELINE.boolean("deleted", "Whether the pipeline is deleted."),
        PIPELINE.text("icon", "Address of the icon."),
        PIPELINE.timestamp("lastUpdated", "When the pipeline was last changed."),
        PIPELINE.integer("userId", "Identifier of the user who added the pipeline."),
        PIPELINE.text("userName", "Name of that user."),
        PIPELINE.text("userFirstName", "First name of that user."),
        PIPELINE.text("userLastName", "Last name of that user."),
        PIPELINE.json("labels", "Labels of the pipeline, a JSON list of objects."),
        PIPELINE.text("optimizationId", "Identifier of its optimisation of resources."),
        PIPELINE.text("optimizationStatus", "OPTIMIZED, OPTIMIZABLE or UNAVAILABLE."),
        PIPELINE.text("optimizationTargets", "Resources that are optimised."),
        COMPUTE_ENV.text("id", "Compute environment that it is launched in (`compute_envs.id`)."),
        COMPUTE_ENV.text("name", "Name of that compute environment."),
        COMPUTE_ENV.text("platform", "Platform of that compute environment."),
        COMPUTE_ENV.text("region", "Region of that compute environment."),
        VERSION.text("id", "Identifier of the version.", key=of_version),
        VERSION.text("name", "Name of the version; null for a draft."),
        VERSION.text("hash", "Hash of what the version launches."),
        VERSION.boolean("isDefault", "Whether the version is the pipeline's default."),
        VERSION.integer("creatorUserId", "Identifier of the user who made the version."),
        VERSION.text("creatorUserName", "Name of that user."),
        VERSION.text("creatorFirstName", "First name of that user."),
        VERSION.text("creatorLastName", "Last name of that user."),
        VERSION.text("creatorAvatarUrl", "Address of the picture of that user."),
        VERSION.timestamp("dateCreated", "When the version was made."),
        VERSION.timestamp("lastUpdated", "When the version was last changed."),
        missing_since(),
        undocumented(),
    )


PIPELINES = TableSpec(
    name="pipelines",
    key=("pipeline_id",),
    columns=_pipeline_columns(of_version=False),
    description="Pipelines of the launchpad, each with its default version.",
    grain="One row per pipeline.",
    source="GET /pipelines?attributes=labels,computeEnv,optimized",
)

PIPELINE_VERSIONS = TableSpec(
    name="pipeline_versions",
    key=("pipeline_id", "version__id"),
    columns=_pipeline_columns(of_version=True),
    description="Versions of the pipelines of the launchpad, where the server has them.",
    grain="One row per version of a pipeline.",
    source="GET /pipelines/{pipelineId}/versions",
)

ACTIONS = TableSpec(
    name="actions",
    key=("id",),
    columns=(
        ACTION.text("id", "Identifier of the action.", key=True),
        workspace_id("Workspace of the action (`workspaces.id`); null is the personal one."),
        ACTION.text("name", "Name of the action."),
        ACTION.text("pipeline", "Repository of the pipeline that it launches."),
        ACTION.text("source", "What sets it off: github, tower, bucket or cron."),
        ACTION.text("status", "CREATING, ACTIVE, ERROR or PAUSED."),
        ACTION.text("error", "Why it failed, if it did."),
        ACTION.text("hint", "What the platform suggests doing about it."),
        ACTION.text("endpoint", "Address that sets it off."),
        ACTION.text("usageCmd", "Command that sets it off, with a placeholder for the token."),
        ACTION.json("config", "What it waits for, a JSON object that differs by source."),
        ACTION.json("event", "What last set it off, a JSON object that differs by source."),
        ACTION.json("labels", "Labels of the runs that it launches, a JSON list of objects."),
        ACTION.timestamp("dateCreated", "When the action was made."),
        ACTION.timestamp("lastSeen", "When it was last set off."),
        ACTION.timestamp("nextExecution", "When a timed action is set off next."),
        missing_since(),
        undocumented(),
    ),
    description="Actions, which launch a pipeline when something happens.",
    grain="One row per action.",
    source="GET /actions?attributes=labels",
)
