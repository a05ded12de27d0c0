"""Tables of pipelines, actions, datasets, data links, and launches, which bring them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.schema.table import define_table
from tower_etl.schema.types import LOCAL, MISSING_SINCE, UNDOCUMENTED, ApiObject

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
        PIPELINE.workspace_of("pipeline"),
        PIPELINE.text("workspaceName", "Name of the workspace."),
        PIPELINE.integer("orgId", "Organization of the workspace (`organizations.org_id`)."),
        PIPELINE.text("orgName", "Name of the organization."),
        PIPELINE.text("name", "Name of the pipeline, unique in its workspace."),
        PIPELINE.text("description", "Description of the pipeline."),
        PIPELINE.text("repository", "URL of the pipeline's repository."),
        PIPELINE.text("visibility", "Visibility: PRIVATE or SHARED."),
        PIPELINE.boolean("deleted", "Whether the pipeline is deleted."),
        PIPELINE.text("icon", "URL of the icon."),
        PIPELINE.timestamp("lastUpdated", "Time of the last change of the pipeline."),
        PIPELINE.integer("userId", "Identifier of the user who added the pipeline."),
        PIPELINE.text("userName", "Name of the user who added the pipeline."),
        PIPELINE.text("userFirstName", "First name of the user who added the pipeline."),
        PIPELINE.text("userLastName", "Last name of the user who added the pipeline."),
        PIPELINE.json("labels", "Labels of the pipeline, a JSON list of objects."),
        PIPELINE.text("optimizationId", "Identifier of the resource optimization."),
        PIPELINE.text(
            "optimizationStatus", "Resource optimization: OPTIMIZED, OPTIMIZABLE or UNAVAILABLE."
        ),
        PIPELINE.text("optimizationTargets", "Resources that the optimization covers."),
        COMPUTE_ENV.text("id", "Compute environment of the pipeline (`compute_envs.id`)."),
        COMPUTE_ENV.text("name", "Name of the pipeline's compute environment."),
        COMPUTE_ENV.text("platform", "Platform of the pipeline's compute environment."),
        COMPUTE_ENV.text("region", "Region of the pipeline's compute environment."),
        VERSION.text("id", "Identifier of the version.", key=of_version),
        VERSION.text("name", "Name of the version; null for a draft."),
        VERSION.text("hash", "Hash of the version's launch configuration."),
        VERSION.boolean("isDefault", "Whether the version is the pipeline's default."),
        VERSION.integer("creatorUserId", "Identifier of the user who created the version."),
        VERSION.text("creatorUserName", "Name of the user who created the version."),
        VERSION.text("creatorFirstName", "First name of the user who created the version."),
        VERSION.text("creatorLastName", "Last name of the user who created the version."),
        VERSION.text(
            "creatorAvatarUrl", "URL of the profile picture of the user who created the version."
        ),
        *VERSION.created_and_updated("version"),
        MISSING_SINCE,
        UNDOCUMENTED,
    )


PIPELINES = define_table(
    "pipelines",
    *_pipeline_columns(of_version=False),
    description="Pipelines of the launchpad, each with its default version.",
    grain="One row per pipeline.",
    source="GET /pipelines?attributes=labels,computeEnv,optimized",
)

PIPELINE_VERSIONS = define_table(
    "pipeline_versions",
    *_pipeline_columns(of_version=True),
    description="Versions of the pipelines of the launchpad, if the server supports versions.",
    grain="One row per version of a pipeline.",
    source="GET /pipelines/{pipelineId}/versions",
)

ACTIONS = define_table(
    "actions",
    ACTION.text("id", "Identifier of the action.", key=True),
    LOCAL.workspace_of("action"),
    ACTION.text("name", "Name of the action."),
    ACTION.text("pipeline", "Repository of the pipeline that the action launches."),
    ACTION.text("source", "Source of the trigger: github, tower, bucket or cron."),
    ACTION.text("status", "Status: CREATING, ACTIVE, ERROR or PAUSED."),
    ACTION.text("error", "Error message; null without an error."),
    ACTION.text("hint", "Suggestion of the platform to resolve the error."),
    ACTION.text("endpoint", "URL that triggers the action."),
    ACTION.text("usageCmd", "Command that triggers the action, with a placeholder for the token."),
    ACTION.json("config", "Trigger configuration, a JSON object that differs by source."),
    ACTION.json("event", "Last trigger event, a JSON object that differs by source."),
    ACTION.json("labels", "Labels of the runs that the action launches, a JSON list of objects."),
    ACTION.timestamp("dateCreated", "Time at which the action was created."),
    ACTION.timestamp("lastSeen", "Time of the last trigger event."),
    ACTION.timestamp("nextExecution", "Time of the next execution of a scheduled action."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Actions, which launch a pipeline on an event or a schedule.",
    grain="One row per action.",
    source="GET /actions?attributes=labels",
)

DATASET = ApiObject("DatasetDto")
OWNER = ApiObject("UserInfo", ("user",))
EDITOR = ApiObject("UserInfo", ("lastUpdatedBy",))
RUNS = ApiObject("DatasetRunsInfo", ("runsInfo",))
DATA_VERSION = ApiObject("DatasetVersionDto")
CREATOR = ApiObject("UserInfo", ("createdBy",))
SOURCE = ApiObject("LinkedSourceDto", ("linkedSource",))
LINK = ApiObject("DataLinkDto")

DATASETS = define_table(
    "datasets",
    DATASET.text("id", "Identifier of the dataset.", key=True),
    DATASET.workspace_of("dataset"),
    DATASET.integer("organizationId", "Organization of the workspace (`organizations.org_id`)."),
    DATASET.text("name", "Name of the dataset."),
    DATASET.text("description", "Description of the dataset."),
    DATASET.text("mediaType", "Media type of the latest version."),
    DATASET.integer("version", "Number of the latest version.", "version"),
    DATASET.text("sourceType", "Source of the content: UPLOADED to the platform, or LINKED."),
    DATASET.boolean("deleted", "Whether the dataset is deleted."),
    DATASET.boolean("hidden", "Whether the dataset is hidden."),
    *DATASET.created_and_updated("dataset"),
    OWNER.integer("id", "Identifier of the user who created the dataset."),
    OWNER.text("userName", "Name of the user who created the dataset."),
    OWNER.text("email", "E-mail address of the user who created the dataset."),
    OWNER.text("avatar", "URL of the profile picture of the user who created the dataset."),
    EDITOR.integer("id", "Identifier of the user who last changed the dataset."),
    EDITOR.text("userName", "Name of the user who last changed the dataset."),
    EDITOR.text("email", "E-mail address of the user who last changed the dataset."),
    EDITOR.text("avatar", "URL of the profile picture of the user who last changed the dataset."),
    RUNS.integer("runsCount", "Number of runs that used the dataset.", "runs"),
    RUNS.timestamp("lastUsed", "Time of the last use of the dataset by a run."),
    DATASET.json("labels", "Labels of the dataset, a JSON list of objects."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Datasets, including hidden datasets.",
    grain="One row per dataset.",
    source="GET /datasets?attributes=labels&visibility=all",
)

DATASET_VERSIONS = define_table(
    "dataset_versions",
    DATA_VERSION.text("datasetId", "Dataset of the version (`datasets.id`).", key=True),
    DATA_VERSION.integer("version", "Number of the version.", "version", key=True),
    DATA_VERSION.workspace_of("dataset"),
    DATA_VERSION.text("datasetName", "Name of the dataset."),
    DATA_VERSION.text("datasetDescription", "Description of the dataset."),
    DATA_VERSION.text("fileName", "Name of the file."),
    DATA_VERSION.integer("fileSize", "Size of the file.", "bytes"),
    DATA_VERSION.text("mediaType", "Media type of the file."),
    DATA_VERSION.boolean("hasHeader", "Whether the first line of the file contains column names."),
    DATA_VERSION.text("url", "URL of the file."),
    DATA_VERSION.boolean("disabled", "Whether the version is disabled."),
    *DATA_VERSION.created_and_updated("version"),
    CREATOR.integer("id", "Identifier of the user who created the version."),
    CREATOR.text("userName", "Name of the user who created the version."),
    CREATOR.text("email", "E-mail address of the user who created the version."),
    CREATOR.text("avatar", "URL of the profile picture of the user who created the version."),
    SOURCE.text("url", "URL of the linked content; null for uploaded content."),
    SOURCE.text(
        "changeStatus", "Change of the linked content: UNCHANGED, CHANGED, UNKNOWN or UNAVAILABLE."
    ),
    SOURCE.boolean("hasChangeIndicators", "Whether changes of the linked content can be detected."),
    SOURCE.timestamp("checkedAt", "Time of the last check for changes."),
    UNDOCUMENTED,
    description="Versions of datasets that were the latest version at a reconciliation.",
    grain="One row per version of a dataset.",
    source="GET /datasets/versions",
)

DATA_LINKS = define_table(
    "data_links",
    LOCAL.text("listed_in", "Workspace that lists the link: its id, or `personal`.", key=True),
    LINK.text("id", "Identifier of the link, the same in all workspaces that list it.", key=True),
    LOCAL.integer(
        "workspace_id",
        "Workspace that lists the link (`workspaces.id`); null for the personal workspace.",
    ),
    LINK.text("name", "Name of the link."),
    LINK.text("description", "Description of the data."),
    LINK.text("resourceRef", "URL of the data."),
    LINK.text("type", "Type of the data: bucket."),
    LINK.text("provider", "Provider of the storage: aws, azure, google and others."),
    LINK.text("region", "Region of the storage."),
    LINK.json(
        "credentials",
        "Credentials for the data: a JSON list of objects with id, name and provider.",
    ),
    LINK.boolean("publicAccessible", "Whether the data are public."),
    LINK.boolean("hidden", "Whether the link is hidden."),
    LINK.text("status", "Status of the link: VALID or INVALID."),
    LINK.text("message", "Reason why the link is invalid."),
    UNDOCUMENTED,
    description="Links to data in cloud storage; the row of a removed link is kept.",
    grain="One row per link and workspace.",
    source="GET /data-links?visibility=all",
)

LAUNCH = ApiObject("LaunchDbDto")
ENV = ApiObject("ComputeEnv_ComputeConfig_", ("computeEnv",))

LAUNCHES = define_table(
    "launches",
    LAUNCH.text("id", "Identifier of the launch, `launch_id` of its runs.", key=True),
    LAUNCH.workspace_of("launch"),
    LAUNCH.text("pipeline", "Repository of the pipeline, as requested."),
    LAUNCH.text("revision", "Branch, tag or commit, as requested."),
    LAUNCH.text("commitId", "Commit, as requested."),
    LAUNCH.text("runName", "Requested name of the run."),
    LAUNCH.text("workDir", "Work directory."),
    LAUNCH.text("outputDir", "Directory of the outputs that the pipeline declares."),
    LAUNCH.json("configProfiles", "Configuration profiles, a JSON list."),
    LAUNCH.text("configText", "Nextflow configuration added to the pipeline's."),
    LAUNCH.text("paramsText", "Parameters, as JSON or YAML text."),
    LAUNCH.text("preRunScript", "Script run before Nextflow."),
    LAUNCH.text("postRunScript", "Script run after Nextflow."),
    LAUNCH.text("mainScript", "Main script, if it is not `main.nf`."),
    LAUNCH.text("entryName", "Entry workflow in the main script."),
    LAUNCH.text("schemaName", "File name of the parameter schema."),
    LAUNCH.integer("pipelineSchemaId", "Identifier of the parameter schema on the platform."),
    LAUNCH.text("launchContainer", "Container in which Nextflow runs."),
    LAUNCH.text("towerConfig", "Configuration of the reports."),
    LAUNCH.text("syntaxParser", "Parser of the Nextflow language: v1 or v2."),
    LAUNCH.text("nextflowVersion", "Requested Nextflow version; null for the platform's default."),
    LAUNCH.text("sessionId", "Nextflow session; resumed runs share it."),
    LAUNCH.boolean("resume", "Whether the launch resumes an earlier run."),
    LAUNCH.text("resumeLaunchId", "Launch of the run that is resumed."),
    LAUNCH.boolean("pullLatest", "Whether the latest commit is pulled before the run."),
    LAUNCH.boolean("stubRun", "Whether stubs are run instead of commands."),
    LAUNCH.json("userSecrets", "Names of the user's secrets that the run may use, a JSON list."),
    LAUNCH.json(
        "workspaceSecrets", "Names of the workspace's secrets that the run may use, a JSON list."
    ),
    LAUNCH.integer("headJobCpus", "CPUs requested for the Nextflow process.", "CPUs"),
    LAUNCH.integer("headJobMemoryMb", "Memory requested for the Nextflow process.", "MB"),
    LAUNCH.text("optimizationId", "Identifier of the resource optimization."),
    LAUNCH.text("optimizationTargets", "Resources that the optimization covers."),
    *LAUNCH.created_and_updated("launch"),
    ENV.text(
        "id",
        "Compute environment of the launch (`compute_envs.id`). The `compute_env__` columns"
        " have the state at the time of the fetch; a launch is fetched once.",
    ),
    ENV.text("name", "Name of the compute environment."),
    ENV.text("description", "Description of the compute environment."),
    ENV.text("platform", "Platform, such as `aws-batch`."),
    ENV.text("status", "Status: CREATING, AVAILABLE, ERRORED and others."),
    ENV.text("message", "Message of the platform about the status of the compute environment."),
    ENV.boolean("primary", "Whether the compute environment is the default of its workspace."),
    ENV.boolean("deleted", "Whether the compute environment is deleted."),
    ENV.text("credentialsId", "Credentials of the compute environment (`credentials.id`)."),
    ENV.integer("orgId", "Organization of the compute environment."),
    ENV.integer("workspaceId", "Workspace of the compute environment."),
    ENV.boolean("fusionMetricsCollectionEnabled", "Whether Fusion metrics are collected."),
    *ENV.created_and_updated("compute environment"),
    ENV.timestamp("lastUsed", "Time of the last use of the compute environment."),
    ENV.json("config", "Settings, as in `compute_envs.config`."),
    LOCAL.integer(
        "dataset_count",
        "Number of datasets that the launch uses; null if `launch_datasets` is not synced.",
        "datasets",
    ),
    UNDOCUMENTED,
    description="Launches of runs, which contain the compute environment of a run.",
    grain="One row per launch; runs started on the command line have no launch.",
    source="GET /launch/{launchId}",
)

LAUNCH_DATASETS = define_table(
    "launch_datasets",
    LOCAL.text("launch_id", "Launch that uses the dataset (`launches.id`).", key=True),
    *DATASET_VERSIONS.columns,
    description="Datasets that launches use; synced only if the table is selected by name.",
    grain="One row per launch and dataset version.",
    source="GET /launch/{launchId}/datasets",
)
