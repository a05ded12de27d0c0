"""How runs were launched, and with which data: `launches` and `launch_datasets`."""

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
            "Workspace of the launch (`workspaces.id`); null is the personal one.",
            unit=None,
            source="LaunchDbDto.workspaceId",
        ),
        LAUNCH.text("pipeline", "Repository of the pipeline, as asked for."),
        LAUNCH.text("revision", "Branch, tag or commit, as asked for."),
        LAUNCH.text("commitId", "Commit, as asked for."),
        LAUNCH.text("runName", "Name asked for the run."),
        LAUNCH.text("workDir", "Work directory."),
        LAUNCH.text("outputDir", "Directory for outputs, where the pipeline declares them."),
        LAUNCH.json("configProfiles", "Profiles, a JSON list."),
        LAUNCH.text("configText", "Nextflow configuration added to the pipeline's."),
        LAUNCH.text("paramsText", "Parameters, as JSON or YAML text."),
        LAUNCH.text("preRunScript", "Script run before Nextflow."),
        LAUNCH.text("postRunScript", "Script run after Nextflow."),
        LAUNCH.text("mainScript", "Script to run, if not `main.nf`."),
        LAUNCH.text("entryName", "Workflow to run in that script."),
        LAUNCH.text("schemaName", "File of the schema of the parameters."),
        LAUNCH.integer("pipelineSchemaId", "Schema of the parameters kept by the platform."),
        LAUNCH.text("launchContainer", "Container in which Nextflow runs."),
        LAUNCH.text("towerConfig", "Configuration of the reports."),
        LAUNCH.text("syntaxParser", "Parser of the Nextflow language: v1 or v2."),
        LAUNCH.text(
            "nextflowVersion", "Nextflow version, as asked for; null for the platform's choice."
        ),
        LAUNCH.text("sessionId", "Nextflow session; resumed runs share it."),
        LAUNCH.boolean("resume", "Whether the launch resumes an earlier run."),
        LAUNCH.text("resumeLaunchId", "Launch of the run that it resumes."),
        LAUNCH.boolean("pullLatest", "Whether the newest commit is pulled first."),
        LAUNCH.boolean("stubRun", "Whether stubs are run instead of commands."),
        LAUNCH.json("userSecrets", "Names of the user's secrets that the run may use, a list."),
        LAUNCH.json("workspaceSecrets", "Names of the workspace's secrets likewise, a list."),
        LAUNCH.integer("headJobCpus", "CPUs asked for the Nextflow process.", "CPUs"),
        LAUNCH.integer("headJobMemoryMb", "Memory asked for the Nextflow process.", "MB"),
        LAUNCH.text("optimizationId", "Identifier of the optimisation of resources."),
        LAUNCH.text("optimizationTargets", "Resources that are optimised."),
        LAUNCH.timestamp("dateCreated", "When the launch was made."),
        LAUNCH.timestamp("lastUpdated", "When the launch was last changed."),
        COMPUTE_ENV.text(
            "id",
            "Compute environment of the launch (`compute_envs.id`). This and the columns after it"
            " are as they were when the launch was fetched, which happens once.",
        ),
        COMPUTE_ENV.text("name", "Name of the compute environment."),
        COMPUTE_ENV.text("description", "What the compute environment is for."),
        COMPUTE_ENV.text("platform", "Platform, such as `aws-batch`."),
        COMPUTE_ENV.text("status", "Its status: CREATING, AVAILABLE, ERRORED and the like."),
        COMPUTE_ENV.text("message", "What the platform says of that status."),
        COMPUTE_ENV.boolean("primary", "Whether it is the default of its workspace."),
        COMPUTE_ENV.boolean("deleted", "Whether the compute environment is deleted."),
        COMPUTE_ENV.text("credentialsId", "Credentials that it uses (`credentials.id`)."),
        COMPUTE_ENV.integer("orgId", "Organisation of the compute environment."),
        COMPUTE_ENV.integer("workspaceId", "Workspace of the compute environment."),
        COMPUTE_ENV.boolean(
            "fusionMetricsCollectionEnabled", "Whether metrics of Fusion are collected."
        ),
        COMPUTE_ENV.timestamp("dateCreated", "When the compute environment was made."),
        COMPUTE_ENV.timestamp("lastUpdated", "When it was last changed."),
        COMPUTE_ENV.timestamp("lastUsed", "When it was last used."),
        COMPUTE_ENV.json("config", "Its settings, as in `compute_envs.config`."),
        local_column(
            "dataset_count",
            INTEGER,
            "Datasets that the launch reads; null where `launch_datasets` is not synced.",
            "datasets",
        ),
        undocumented(),
    ),
    description="Launches that runs came from. They tell the compute environment of a run.",
    grain="One row per launch; runs from the command line have none.",
    source="GET /launch/{launchId}",
)

LAUNCH_DATASETS = TableSpec(
    name="launch_datasets",
    key=("launch_id", "dataset_id", "version"),
    columns=(
        local_column("launch_id", TEXT, "Launch that reads the dataset (`launches.id`).", key=True),
        *DATASET_VERSIONS.columns,
    ),
    description="Datasets that launches read; only where the table is requested by name.",
    grain="One row per launch and version of a dataset.",
    source="GET /launch/{launchId}/datasets",
)
