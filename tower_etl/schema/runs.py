"""Tables of runs and labels: `workflows`, `labels` and `workflow_labels`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.errors import ServerError
from tower_etl.schema.table import define_table
from tower_etl.schema.types import (
    LOCAL,
    MISSING_SINCE,
    UNDOCUMENTED,
    WORKFLOW_ID,
    WORKSPACE_ID,
    ApiObject,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

RUN = ApiObject("WorkflowDbDto")
DETAIL = ApiObject("WorkflowMaxDbDto")
UNNAMED = ApiObject("undocumented")  # fields that servers send and no API description documents
OUTER = ApiObject("DescribeWorkflowResponse")
ELEMENT = ApiObject("ListWorkflowsResponse.ListWorkflowsElement")
MANIFEST = ApiObject("WfManifest", ("manifest",))
NEXTFLOW = ApiObject("WfNextflow", ("nextflow",))
STATS = ApiObject("WfStats", ("stats",))
FUSION = ApiObject("WfFusionMeta", ("fusion",))
WAVE = ApiObject("WfWaveMeta", ("wave",))
PIPELINE = ApiObject("PipelineMinInfoResponse", ("pipelineInfo",))
VERSION = ApiObject(
    "PipelineMinInfoResponse.PipelineVersionMinInfoResponse", ("pipelineInfo", "version")
)
JOB = ApiObject("JobInfoDto", ("jobInfo",))
PLATFORM = ApiObject("ComputePlatformDto", ("platform",))
SCHED = ApiObject("SchedConfig", ("schedConfig",))
POOL = ApiObject("SchedConfig.Pool", ("schedConfig", "pool"))

_RUN_COLUMNS = (
    RUN.text("id", "Identifier of the run.", key=True),
    OUTER.workspace_of("run"),
    OUTER.text("workspaceName", "Name of the workspace."),
    OUTER.integer("orgId", "Organization of the workspace (`organizations.org_id`)."),
    OUTER.text("orgName", "Name of the organization."),
    RUN.text("runName", "Name of the run, unique in its workspace."),
    RUN.text(
        "status",
        "Status of the run: SUBMITTED, RUNNING, SUCCEEDED, FAILED, CANCELLED or UNKNOWN"
        " (no heartbeat; the run may resume).",
    ),
    RUN.text("userName", "Name of the user who launched the run."),
    RUN.integer("ownerId", "Identifier of the user who launched the run (`users.id`)."),
    RUN.timestamp("submit", "Time at which the run was submitted."),
    RUN.timestamp("start", "Time at which the run started; null before."),
    RUN.timestamp("complete", "Time at which the run ended; null before."),
    *RUN.created_and_updated("platform's record of the run"),
    RUN.integer("duration", "Time from submission to the end of the run.", "ms"),
    RUN.integer("exitStatus", "Exit code of the Nextflow process."),
    RUN.boolean("success", "Whether the run succeeded; null while it is open."),
    RUN.boolean("resume", "Whether the run resumed an earlier run of the same session."),
    RUN.text("sessionId", "Nextflow session; resumed runs share it."),
    RUN.text("projectName", "Pipeline project, such as `nf-core/rnaseq`."),
    RUN.text("repository", "URL of the pipeline's repository."),
    RUN.text("revision", "Requested branch, tag or commit."),
    RUN.text("commitId", "Commit that was run."),
    RUN.text("profile", "Configuration profiles, separated by commas."),
    RUN.text("commandLine", "Command line that started the run."),
    RUN.text(
        "launchId",
        "Launch of the run (`launches.id`); null if the run was started on the command line.",
    ),
    RUN.text("scriptName", "Name of the main script."),
    RUN.text("scriptFile", "Path of the main script."),
    RUN.text("scriptId", "Hash of the main script."),
    RUN.text("projectDir", "Directory of the pipeline's code."),
    RUN.text("launchDir", "Directory from which the run was launched."),
    RUN.text("homeDir", "Home directory of the user who ran Nextflow."),
    RUN.text("workDir", "Work directory of the run."),
    RUN.text("container", "Container image of the whole run; null without one."),
    RUN.text("containerEngine", "Container engine, such as `docker`."),
    RUN.json("configFiles", "Paths of the configuration files, a JSON list."),
    RUN.text("configText", "Resolved Nextflow configuration."),
    RUN.json("params", "Pipeline parameters, a JSON object."),
    RUN.text("errorMessage", "Error message of a failed run."),
    RUN.text("errorReport", "Full error report of a failed run."),
    RUN.boolean("requiresAttention", "Whether the platform marks the run as requiring attention."),
    RUN.boolean("deleted", "Whether the run is marked as deleted."),
    DETAIL.json("configProfiles", "Configuration profiles, a JSON list."),
    DETAIL.text("nextflowConfig", "Nextflow configuration given at launch."),
    DETAIL.text("towerConfig", "`tower.yml` of the run, which lists its reports."),
    DETAIL.text("preRunScript", "Shell script run before Nextflow."),
    DETAIL.text("postRunScript", "Shell script run after Nextflow."),
    DETAIL.text("syntaxParser", "Nextflow syntax parser, such as `v2`."),
    DETAIL.text(
        "nextflowVersion",
        "Nextflow version chosen at launch; null for the platform's default."
        " `nextflow__version` is the version that ran.",
    ),
    DETAIL.text("operationId", "Identifier of the job that runs Nextflow."),
    DETAIL.text("logFile", "Name of the Nextflow log file."),
    DETAIL.text("outFile", "Name of the file of Nextflow's console output."),
    UNNAMED.integer("peakLoadCpus", "Maximum number of CPUs in use at the same time.", "cores"),
    UNNAMED.integer("peakLoadTasks", "Maximum number of tasks running at the same time.", "tasks"),
    UNNAMED.integer("peakLoadMemory", "Maximum memory in use at the same time.", "bytes"),
)

_NESTED_COLUMNS = (
    MANIFEST.text("name", "Name of the pipeline, from its manifest."),
    MANIFEST.text("version", "Version of the pipeline, from its manifest."),
    MANIFEST.text("description", "Description of the pipeline, from its manifest."),
    MANIFEST.text("author", "Authors of the pipeline, from its manifest."),
    MANIFEST.text("homePage", "Home page of the pipeline, from its manifest."),
    MANIFEST.text("mainScript", "Main script, from the manifest."),
    MANIFEST.text("defaultBranch", "Default branch of the repository, from the manifest."),
    MANIFEST.text("nextflowVersion", "Nextflow versions that the manifest requires."),
    MANIFEST.text("gitmodules", "Git submodules to fetch, from the manifest."),
    MANIFEST.text("icon", "URL of the pipeline's icon, from the manifest."),
    NEXTFLOW.text("version", "Version of Nextflow that ran."),
    NEXTFLOW.text("build", "Build number of Nextflow."),
    NEXTFLOW.timestamp("timestamp", "Build time of the Nextflow version that ran."),
    STATS.text(
        "computeTimeFmt",
        "CPU hours as formatted by Nextflow, with the shares of cached and failed tasks.",
    ),
    STATS.integer("succeedCount", "Tasks that succeeded.", "tasks"),
    STATS.integer("cachedCount", "Tasks reused from an earlier run.", "tasks"),
    STATS.integer("failedCount", "Tasks that failed.", "tasks"),
    STATS.integer("ignoredCount", "Failed tasks that the run ignored.", "tasks"),
    STATS.text("succeedCountFmt", "`stats__succeed_count` as formatted by Nextflow."),
    STATS.text("cachedCountFmt", "`stats__cached_count` as formatted by Nextflow."),
    STATS.text("failedCountFmt", "`stats__failed_count` as formatted by Nextflow."),
    STATS.text("ignoredCountFmt", "`stats__ignored_count` as formatted by Nextflow."),
    STATS.number("succeedPct", "Share of tasks that succeeded.", "percent"),
    STATS.number("cachedPct", "Share of tasks reused from an earlier run.", "percent"),
    STATS.number("failedPct", "Share of tasks that failed.", "percent"),
    STATS.number("ignoredPct", "Share of failed tasks that the run ignored.", "percent"),
    STATS.integer("succeedDuration", "CPU time of tasks that succeeded.", "CPU ms"),
    STATS.integer("cachedDuration", "CPU time of tasks reused from an earlier run.", "CPU ms"),
    STATS.integer("failedDuration", "CPU time of tasks that failed.", "CPU ms"),
    FUSION.boolean("enabled", "Whether the run used the Fusion file system."),
    FUSION.text("version", "Version of Fusion."),
    WAVE.boolean("enabled", "Whether the run used Wave containers."),
)

_RESPONSE_COLUMNS = (
    OUTER.number("cost", "Cost of the run, in the currency of `cost_currency`.", "cost_currency"),
    OUTER.text("costCurrency", "Currency of `cost`."),
    OUTER.boolean("costIsEstimate", "Whether `cost` is an estimate."),
    OUTER.integer("instancesProvisioned", "Number of machines started for the run.", "machines"),
    OUTER.boolean("optimized", "Whether the platform optimized the resource requests."),
    ELEMENT.boolean("starred", "Whether the token's user starred the run."),
    OUTER.json("messages", "Messages of the platform about the run, a JSON list."),
    PIPELINE.integer("id", "Launchpad pipeline of the run (`pipelines.pipeline_id`)."),
    PIPELINE.integer("workspaceId", "Workspace of the run's launchpad pipeline."),
    VERSION.text("id", "Identifier of the pipeline version of the run."),
    VERSION.text("name", "Name of the pipeline version of the run."),
    VERSION.text("hash", "Hash of the pipeline version of the run."),
    VERSION.boolean(
        "isDefault", "Whether the pipeline version of the run is the pipeline's default."
    ),
    VERSION.boolean("isDraftVersion", "Whether the pipeline version of the run is a draft."),
    *VERSION.created_and_updated("pipeline version of the run"),
    JOB.integer("id", "Identifier of the Nextflow job, which ran Nextflow itself."),
    JOB.text("operationId", "Identifier of the Nextflow job on its compute platform."),
    JOB.text("status", "Status of the Nextflow job."),
    JOB.integer("exitCode", "Exit code of the Nextflow job."),
    JOB.text("message", "Message of the compute platform about the Nextflow job."),
    PLATFORM.text("id", "Identifier of the compute platform, such as `aws-batch`."),
    PLATFORM.text("name", "Name of the compute platform."),
    OUTER.boolean("schedEnabled", "Whether the platform's own scheduler ran the tasks."),
    OUTER.text("schedRunId", "Identifier of the run in the platform's own scheduler."),
    SCHED.text("backendStrategy", "Backend that runs the scheduler's tasks: ECS, EC2 or VM."),
    SCHED.text("provisioningModel", "Provisioning of machines: spot, spotFirst or ondemand."),
    SCHED.json("machineTypes", "Allowed machine types, a JSON list; empty for all."),
    SCHED.text(
        "predictionModel",
        "Model that predicts the resources of tasks: none, qr/v1, qr/v2 or another.",
    ),
    SCHED.text("diskAllocation", "Allocation of disks to tasks, such as `nvme`."),
    SCHED.boolean("nvmeEnabled", "Whether only machines with local NVMe disks are used."),
    SCHED.boolean("fusionSnapshots", "Whether interrupted tasks resume from a snapshot."),
    SCHED.integer(
        "maxSpotAttempts",
        "Maximum number of attempts of a task on spot machines, including the first; in API"
        " versions after 1.187.",
        "attempts",
    ),
    SCHED.integer(
        "maxCpusPerUser",
        "Maximum number of CPUs that one user may use at the same time; null for no limit; in API"
        " versions after 1.187.",
        "CPUs",
    ),
    POOL.boolean("enabled", "Whether idle machines are kept warm."),
    POOL.integer("desiredWarm", "Number of idle machines to keep warm.", "machines"),
    POOL.integer(
        "scaleToZeroSecs", "Idle time after which no machine is kept warm; 0 for never.", "s"
    ),
)

WORKFLOWS = define_table(
    "workflows",
    *_RUN_COLUMNS,
    *_NESTED_COLUMNS,
    *_RESPONSE_COLUMNS,
    LOCAL.timestamp(
        "missing_since",
        "Start of the first sync whose full listing lacked the run; null while it is listed.",
    ),
    LOCAL.json(
        "missing_parts",
        "Parts that the server did not have when the run was fetched, a JSON list of `tasks`"
        " and `metrics`; null if the run is complete. Reconciliations retry these parts.",
    ),
    UNDOCUMENTED,
    description="Runs of pipelines (workflows).",
    grain="One row per run; a resumed run has its own row, with the same `session_id`.",
    source="GET /workflow/{workflowId}",
)

_OUTER_FIELDS = frozenset(column.path[0] for column in _RESPONSE_COLUMNS) | {
    column.path[0] for column in _RUN_COLUMNS if column.source.startswith(OUTER.name)
}
_ELSEWHERE = frozenset({"workflow", "progress", "labels"})  # separate tables


def workflow_record(detail: Mapping[str, Any], *, starred: bool | None) -> dict[str, Any]:
    """Flatten the detail of a run into one record for `workflows`.

    The record has the fields of the run, of the response around it, and `starred` of the listing,
    None if the run was not listed. If both have a field of the same name, the documented field
    keeps the name and the other field gets its dotted name.

    Raises:
        ServerError: The detail contains no run.
    """
    run = detail.get("workflow")
    if not isinstance(run, dict) or run.get("id") is None:
        msg = "The server's response contains no run. Retry later, or check the server's log."
        raise ServerError(msg)
    outer = {"starred": starred}
    outer |= {key: value for key, value in detail.items() if key not in _ELSEWHERE}
    record = {**run, **outer}
    for key in run.keys() & outer.keys():
        if key in _OUTER_FIELDS:
            record[f"workflow.{key}"] = run[key]
        else:
            record |= {key: run[key], f"response.{key}": outer[key]}
    return record


LABEL = ApiObject("LabelDbDto")
REMOVED = "_removed"
"""Column that marks a tombstone, which deletes other rows at a merge."""

LABELS = define_table(
    "labels",
    LABEL.integer("id", "Identifier of the label.", key=True),
    LOCAL.workspace_of("label"),
    LABEL.text("name", "Name of the label."),
    LABEL.text("value", "Value of a resource label; null for a simple label."),
    LABEL.boolean(
        "resource", "Whether the label is a resource label, which is applied to cloud resources."
    ),
    LABEL.boolean("isDefault", "Whether new pipelines and runs have the label by default."),
    LABEL.boolean("isDynamic", "Whether the value contains variables of the run."),
    LABEL.boolean("isInterpolated", "Whether the variables in the value are replaced."),
    LABEL.timestamp("dateCreated", "Time at which the label was created."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Labels of workspaces.",
    grain="One row per label.",
    source="GET /labels, and GET /workflow/{workflowId}?attributes=labels",
)

WORKFLOW_LABELS = define_table(
    "workflow_labels",
    WORKFLOW_ID,
    LABEL.integer("id", "Label of the run (`labels.id`).", key=True, name="label_id"),
    WORKSPACE_ID,
    LOCAL.boolean(
        REMOVED,
        "Tombstone: whether the links of the run were removed. Only Iceberg tables of a dlt"
        " pipeline keep such rows.",
    ),
    description="Links between runs and labels.",
    grain="One row per run and label.",
    source="GET /workflow/{workflowId}?attributes=labels",
    merge_key=("workflow_id",),
)


def label_links(
    labels: Iterable[object], *, workflow_id: str, workspace_id: int | None
) -> pa.Table:
    """Build `workflow_labels` from the LabelDbDto objects of one run."""
    return WORKFLOW_LABELS.build(
        labels, workflow_id=workflow_id, workspace_id=workspace_id, _removed=False
    )


def label_link_tombstones(workflow_ids: Iterable[str], *, workspace_id: int | None) -> pa.Table:
    """Build the tombstones of runs without labels: one row per run, with `label_id` 0."""
    return WORKFLOW_LABELS.build_grouped(
        ([{"id": 0}], {"workflow_id": run_id, "workspace_id": workspace_id, REMOVED: True})
        for run_id in workflow_ids
    )
