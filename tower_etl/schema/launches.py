"""Tables of launches and their datasets: `launches` and `launch_datasets`."""

from __future__ import annotations

from tower_etl.schema.pipelines import DATASET_VERSIONS
from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    INTEGER,
    TEXT,
    ApiObject,
    ColumnSpec,
    local_column,
    undocumented,
)

LAUNCH = ApiObject("LaunchDbDto")
COMPUTE_ENV = ApiObject("ComputeEnv_ComputeConfig_", ("computeEnv",))

LAUNCHES = TableSpec(
    name="launches",
    key=("id",),
    columns=(
        LAUNCH.text("id", "Identifier of the launch, `launch_id` of its runs.", key=True),
        ColumnSpec(
            "workspace_id",
            INTEGER,
            ("workspaceId",),
            "Workspace of the launch (`workspaces.id`); null for the personal workspace.",
            unit=None,
            source="LaunchDbDto.workspaceId",
        ),
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
        LAUNCH.text(
            "nextflowVersion", "Requested Nextflow version; null for the platform's default."
        ),
        LAUNCH.text("sessionId", "Nextflow session; resumed runs share it."),
        LAUNCH.boolean("resume", "Whether the launch resumes an earlier run."),
        LAUNCH.text("resumeLaunchId", "Launch of the run that is resumed."),
        LAUNCH.boolean("pullLatest", "Whether the latest commit is pulled before the run."),
        LAUNCH.boolean("stubRun", "Whether stubs are run instead of commands."),
        LAUNCH.json(
            "userSecrets", "Names of the user's secrets that the run may use, a JSON list."
        ),
        LAUNCH.json(
            "workspaceSecrets",
            "Names of the workspace's secrets that the run may use, a JSON list.",
        ),
        LAUNCH.integer("headJobCpus", "CPUs requested for the Nextflow process.", "CPUs"),
        LAUNCH.integer("headJobMemoryMb", "Memory requested for the Nextflow process.", "MB"),
        LAUNCH.text("optimizationId", "Identifier of the resource optimization."),
        LAUNCH.text("optimizationTargets", "Resources that the optimization covers."),
        LAUNCH.timestamp("dateCreated", "Time at which the launch was created."),
        LAUNCH.timestamp("lastUpdated", "Time of the last change of the launch."),
        COMPUTE_ENV.text(
            "id",
            "Compute environment of the launch (`compute_envs.id`). The `compute_env__` columns"
            " have the state at the time of the fetch; a launch is fetched once.",
        ),
        COMPUTE_ENV.text("name", "Name of the compute environment."),
        COMPUTE_ENV.text("description", "Description of the compute environment."),
        COMPUTE_ENV.text("platform", "Platform, such as `aws-batch`."),
        COMPUTE_ENV.text("status", "Status: CREATING, AVAILABLE, ERRORED and others."),
        COMPUTE_ENV.text(
            "message", "Message of the platform about the status of the compute environment."
        ),
        COMPUTE_ENV.boolean(
            "primary", "Whether the compute environment is the default of its workspace."
        ),
        COMPUTE_ENV.boolean("deleted", "Whether the compute environment is deleted."),
        COMPUTE_ENV.text(
            "credentialsId", "Credentials of the compute environment (`credentials.id`)."
        ),
        COMPUTE_ENV.integer("orgId", "Organization of the compute environment."),
        COMPUTE_ENV.integer("workspaceId", "Workspace of the compute environment."),
        COMPUTE_ENV.boolean(
            "fusionMetricsCollectionEnabled", "Whether Fusion metrics are collected."
        ),
        COMPUTE_ENV.timestamp("dateCreated", "Time at which the compute environment was created."),
        COMPUTE_ENV.timestamp("lastUpdated", "Time of the last change of the compute environment."),
        COMPUTE_ENV.timestamp("lastUsed", "Time of the last use of the compute environment."),
        COMPUTE_ENV.json("config", "Settings, as in `compute_envs.config`."),
        local_column(
            "dataset_count",
            INTEGER,
            "Number of datasets that the launch uses; null if `launch_datasets` is not synced.",
            "datasets",
        ),
        undocumented(),
    ),
    description="Launches of runs, which contain the compute environment of a run.",
    grain="One row per launch; runs started on the command line have no launch.",
    source="GET /launch/{launchId}",
)

LAUNCH_DATASETS = TableSpec(
    name="launch_datasets",
    key=("launch_id", "dataset_id", "version"),
    columns=(
        local_column("launch_id", TEXT, "Launch that uses the dataset (`launches.id`).", key=True),
        *DATASET_VERSIONS.columns,
    ),
    description="Datasets that launches use; synced only if the table is selected by name.",
    grain="One row per launch and dataset version.",
    source="GET /launch/{launchId}/datasets",
)
