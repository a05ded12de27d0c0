"""What can be launched: `pipelines`, `pipeline_versions` and `actions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    TEXT,
    ApiObject,
    local_column,
    missing_since,
    undocumented,
    workspace_id,
)

if TYPE_CHECKING:
    from tower_etl.schema.types import ColumnSpec

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


DATASET = ApiObject("DatasetDto")
OWNER = ApiObject("UserInfo", ("user",))
CHANGED_BY = ApiObject("UserInfo", ("lastUpdatedBy",))
RUNS = ApiObject("DatasetRunsInfo", ("runsInfo",))
DATASET_VERSION = ApiObject("DatasetVersionDto")
CREATOR = ApiObject("UserInfo", ("createdBy",))
SOURCE = ApiObject("LinkedSourceDto", ("linkedSource",))
LINK = ApiObject("DataLinkDto")

DATASETS = TableSpec(
    name="datasets",
    key=("id",),
    columns=(
        DATASET.text("id", "Identifier of the dataset.", key=True),
        DATASET.integer(
            "workspaceId", "Workspace of the dataset (`workspaces.id`); null is the personal one."
        ),
        DATASET.integer(
            "organizationId", "Organisation of the workspace (`organizations.org_id`)."
        ),
        DATASET.text("name", "Name of the dataset."),
        DATASET.text("description", "What the dataset holds."),
        DATASET.text("mediaType", "Media type of its newest version."),
        DATASET.integer("version", "Number of its newest version.", "version"),
        DATASET.text("sourceType", "Where its content is: UPLOADED to the platform, or LINKED."),
        DATASET.boolean("deleted", "Whether the dataset is deleted."),
        DATASET.boolean("hidden", "Whether the dataset is hidden."),
        DATASET.timestamp("dateCreated", "When the dataset was made."),
        DATASET.timestamp("lastUpdated", "When the dataset was last changed."),
        OWNER.integer("id", "Identifier of the user who made it."),
        OWNER.text("userName", "Name of that user."),
        OWNER.text("email", "Address of that user."),
        OWNER.text("avatar", "Address of the picture of that user."),
        CHANGED_BY.integer("id", "Identifier of the user who last changed it."),
        CHANGED_BY.text("userName", "Name of that user."),
        CHANGED_BY.text("email", "Address of that user."),
        CHANGED_BY.text("avatar", "Address of the picture of that user."),
        RUNS.integer("runsCount", "Runs that read it.", "runs"),
        RUNS.timestamp("lastUsed", "When a run last read it."),
        DATASET.json("labels", "Labels of the dataset, a JSON list of objects."),
        missing_since(),
        undocumented(),
    ),
    description="Datasets, hidden ones included.",
    grain="One row per dataset.",
    source="GET /datasets?attributes=labels&visibility=all",
)

DATASET_VERSIONS = TableSpec(
    name="dataset_versions",
    key=("dataset_id", "version"),
    columns=(
        DATASET_VERSION.text("datasetId", "Dataset of the version (`datasets.id`).", key=True),
        DATASET_VERSION.integer("version", "Number of the version.", "version", key=True),
        DATASET_VERSION.integer(
            "workspaceId", "Workspace of the dataset (`workspaces.id`); null is the personal one."
        ),
        DATASET_VERSION.text("datasetName", "Name of the dataset."),
        DATASET_VERSION.text("datasetDescription", "What the dataset holds."),
        DATASET_VERSION.text("fileName", "Name of the file."),
        DATASET_VERSION.integer("fileSize", "Size of the file.", "bytes"),
        DATASET_VERSION.text("mediaType", "Media type of the file."),
        DATASET_VERSION.boolean(
            "hasHeader", "Whether the first line of the file names its columns."
        ),
        DATASET_VERSION.text("url", "Address of the file."),
        DATASET_VERSION.boolean("disabled", "Whether the version is disabled."),
        DATASET_VERSION.timestamp("dateCreated", "When the version was made."),
        DATASET_VERSION.timestamp("lastUpdated", "When the version was last changed."),
        CREATOR.integer("id", "Identifier of the user who made it."),
        CREATOR.text("userName", "Name of that user."),
        CREATOR.text("email", "Address of that user."),
        CREATOR.text("avatar", "Address of the picture of that user."),
        SOURCE.text("url", "Address of the content, where it is linked."),
        SOURCE.text(
            "changeStatus",
            "Whether it changed: UNCHANGED, CHANGED, UNKNOWN or UNAVAILABLE.",
        ),
        SOURCE.boolean("hasChangeIndicators", "Whether a change of that content can be told."),
        SOURCE.timestamp("checkedAt", "When that was last looked at."),
        undocumented(),
    ),
    description="Versions of datasets that were the newest at some reconciliation.",
    grain="One row per version of a dataset.",
    source="GET /datasets/versions",
)

DATA_LINKS = TableSpec(
    name="data_links",
    key=("listed_in", "id"),
    columns=(
        local_column(
            "listed_in",
            TEXT,
            "Where the platform lists it: the id of the workspace, or `personal`.",
            key=True,
        ),
        LINK.text("id", "Identifier of the link; workspaces share it for the same data.", key=True),
        workspace_id("Workspace that lists the link (`workspaces.id`); null is the personal one."),
        LINK.text("name", "Name of the link."),
        LINK.text("description", "What the data are."),
        LINK.text("resourceRef", "Address of the data."),
        LINK.text("type", "Kind of data: bucket."),
        LINK.text("provider", "Who stores them: aws, azure, google and so on."),
        LINK.text("region", "Region where they are stored."),
        LINK.json("credentials", "Credentials that open them: a JSON list of id, name, provider."),
        LINK.boolean("publicAccessible", "Whether anybody may read them."),
        LINK.boolean("hidden", "Whether the link is hidden."),
        LINK.text("status", "Whether the link works: VALID or INVALID."),
        LINK.text("message", "What is wrong with it."),
        undocumented(),
    ),
    description="Links to data in the cloud; one that is removed keeps its row.",
    grain="One row per link and workspace that lists it.",
    source="GET /data-links?visibility=all",
)
