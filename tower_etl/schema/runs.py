"""Runs: the `workflows` table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.errors import ServerError
from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    BOOLEAN,
    INTEGER,
    TEXT,
    TIMESTAMP,
    ApiObject,
    ColumnSpec,
    local_column,
    missing_since,
    undocumented,
    workflow_id,
    workspace_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUN = ApiObject("WorkflowDbDto")
DETAIL = ApiObject("WorkflowMaxDbDto")
UNNAMED = ApiObject("undocumented")  # sent by servers, named by no version of the description
ANSWER = ApiObject("DescribeWorkflowResponse")
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
    ANSWER.integer(
        "workspaceId", "Workspace of the run (`workspaces.id`); null is the personal workspace."
    ),
    ANSWER.text("workspaceName", "Name of the workspace."),
    ANSWER.integer("orgId", "Organisation of the workspace (`organizations.org_id`)."),
    ANSWER.text("orgName", "Name of the organisation."),
    RUN.text("runName", "Name of the run, unique in its workspace."),
    RUN.text(
        "status",
        "State of the run: SUBMITTED, RUNNING, SUCCEEDED, FAILED, CANCELLED or UNKNOWN"
        " (no sign of life; it may come back).",
    ),
    RUN.text("userName", "Name of the user who launched the run."),
    RUN.integer("ownerId", "Identifier of the user who launched the run (`users.id`)."),
    RUN.timestamp("submit", "When the run was submitted."),
    RUN.timestamp("start", "When the run started; null until then."),
    RUN.timestamp("complete", "When the run ended; null until then."),
    RUN.timestamp("dateCreated", "When the platform created its record of the run."),
    RUN.timestamp("lastUpdated", "When the platform last changed its record of the run."),
    RUN.integer("duration", "Time from submission to the end of the run.", "ms"),
    RUN.integer("exitStatus", "Exit code of the Nextflow process."),
    RUN.boolean("success", "Whether the run ended well; null while it is open."),
    RUN.boolean("resume", "Whether the run resumed an earlier one of the same session."),
    RUN.text("sessionId", "Nextflow session; resumed runs share it."),
    RUN.text("projectName", "Pipeline project, such as `nf-core/rnaseq`."),
    RUN.text("repository", "Address of the pipeline's repository."),
    RUN.text("revision", "Branch, tag or commit asked for."),
    RUN.text("commitId", "Commit that ran."),
    RUN.text("profile", "Configuration profiles, separated by commas."),
    RUN.text("commandLine", "Command line that started the run."),
    RUN.text("launchId", "Launch that the run came from (`launches.id`); null if started by hand."),
    RUN.text("scriptName", "Name of the main script."),
    RUN.text("scriptFile", "Path of the main script."),
    RUN.text("scriptId", "Hash of the main script."),
    RUN.text("projectDir", "Directory of the pipeline's code."),
    RUN.text("launchDir", "Directory from which the run was launched."),
    RUN.text("homeDir", "Home directory of the user who ran Nextflow."),
    RUN.text("workDir", "Work directory of the run."),
    RUN.text("container", "Container image of the whole run, if it has one."),
    RUN.text("containerEngine", "Container engine, such as `docker`."),
    RUN.json("configFiles", "Paths of the configuration files, a JSON list."),
    RUN.text("configText", "Resolved Nextflow configuration."),
    RUN.json("params", "Pipeline parameters, a JSON object."),
    RUN.text("errorMessage", "Why the run failed, in short."),
    RUN.text("errorReport", "Why the run failed, in full."),
    RUN.boolean("requiresAttention", "Whether the platform asks for someone to look at the run."),
    RUN.boolean("deleted", "Whether the run is marked as deleted."),
    DETAIL.json("configProfiles", "Configuration profiles, a JSON list."),
    DETAIL.text("nextflowConfig", "Nextflow configuration given at launch."),
    DETAIL.text("towerConfig", "`tower.yml` of the run, which names its reports."),
    DETAIL.text("preRunScript", "Shell script run before Nextflow."),
    DETAIL.text("postRunScript", "Shell script run after Nextflow."),
    DETAIL.text("syntaxParser", "Nextflow syntax parser, such as `v2`."),
    DETAIL.text(
        "nextflowVersion",
        "Nextflow version chosen at launch; null where the launch left the choice to the platform."
        " `nextflow__version` is the version that ran.",
    ),
    DETAIL.text("operationId", "Identifier of the job that runs Nextflow."),
    DETAIL.text("logFile", "Name of the Nextflow log file."),
    DETAIL.text("outFile", "Name of the file of Nextflow's console output."),
    UNNAMED.integer("peakLoadCpus", "Most CPUs in use at once.", "cores"),
    UNNAMED.integer("peakLoadTasks", "Most tasks running at once.", "tasks"),
    UNNAMED.integer("peakLoadMemory", "Most memory in use at once.", "bytes"),
)

_NESTED_COLUMNS = (
    MANIFEST.text("name", "Name of the pipeline, from its manifest."),
    MANIFEST.text("version", "Version of the pipeline, from its manifest."),
    MANIFEST.text("description", "What the pipeline does, from its manifest."),
    MANIFEST.text("author", "Authors of the pipeline, from its manifest."),
    MANIFEST.text("homePage", "Home page of the pipeline, from its manifest."),
    MANIFEST.text("mainScript", "Main script, from the manifest."),
    MANIFEST.text("defaultBranch", "Default branch of the repository, from the manifest."),
    MANIFEST.text("nextflowVersion", "Nextflow versions that the manifest asks for."),
    MANIFEST.text("gitmodules", "Git submodules to fetch, from the manifest."),
    MANIFEST.text("icon", "Address of the pipeline's icon, from the manifest."),
    NEXTFLOW.text("version", "Version of Nextflow that ran."),
    NEXTFLOW.text("build", "Build number of Nextflow."),
    NEXTFLOW.timestamp("timestamp", "When that Nextflow was built."),
    STATS.text("computeTimeFmt", "CPU hours as Nextflow writes them, with the wasted shares."),
    STATS.integer("succeedCount", "Tasks that succeeded.", "tasks"),
    STATS.integer("cachedCount", "Tasks taken from an earlier run.", "tasks"),
    STATS.integer("failedCount", "Tasks that failed.", "tasks"),
    STATS.integer("ignoredCount", "Failed tasks that the run passed over.", "tasks"),
    STATS.text("succeedCountFmt", "`stats__succeed_count` as Nextflow writes it."),
    STATS.text("cachedCountFmt", "`stats__cached_count` as Nextflow writes it."),
    STATS.text("failedCountFmt", "`stats__failed_count` as Nextflow writes it."),
    STATS.text("ignoredCountFmt", "`stats__ignored_count` as Nextflow writes it."),
    STATS.number("succeedPct", "Share of tasks that succeeded.", "percent"),
    STATS.number("cachedPct", "Share of tasks taken from an earlier run.", "percent"),
    STATS.number("failedPct", "Share of tasks that failed.", "percent"),
    STATS.number("ignoredPct", "Share of failed tasks that the run passed over.", "percent"),
    STATS.integer("succeedDuration", "CPU time of tasks that succeeded.", "CPU ms"),
    STATS.integer("cachedDuration", "CPU time saved by tasks of an earlier run.", "CPU ms"),
    STATS.integer("failedDuration", "CPU time of tasks that failed.", "CPU ms"),
    FUSION.boolean("enabled", "Whether the run used the Fusion file system."),
    FUSION.text("version", "Version of Fusion."),
    WAVE.boolean("enabled", "Whether the run used Wave containers."),
)

_ANSWER_COLUMNS = (
    ANSWER.number("cost", "Cost of the run, in the currency of `cost_currency`.", "cost_currency"),
    ANSWER.text("costCurrency", "Currency of `cost`."),
    ANSWER.boolean("costIsEstimate", "Whether `cost` is an estimate."),
    ANSWER.integer("instancesProvisioned", "Machines started for the run.", "machines"),
    ANSWER.boolean("optimized", "Whether resource requests came from the platform's optimisation."),
    ELEMENT.boolean("starred", "Whether the owner of the token starred the run."),
    ANSWER.json("messages", "Messages of the platform about the run, a JSON list."),
    PIPELINE.integer("id", "Launchpad pipeline of the run (`pipelines.pipeline_id`)."),
    PIPELINE.integer("workspaceId", "Workspace of that pipeline."),
    VERSION.text("id", "Version of that pipeline."),
    VERSION.text("name", "Name of that version."),
    VERSION.text("hash", "Hash of that version."),
    VERSION.boolean("isDefault", "Whether that version is the pipeline's default."),
    VERSION.boolean("isDraftVersion", "Whether that version is a draft."),
    VERSION.timestamp("dateCreated", "When that version was created."),
    VERSION.timestamp("lastUpdated", "When that version was last changed."),
    JOB.integer("id", "Job that ran Nextflow itself."),
    JOB.text("operationId", "Identifier of that job on its compute platform."),
    JOB.text("status", "State of that job."),
    JOB.integer("exitCode", "Exit code of that job."),
    JOB.text("message", "What the compute platform said of that job."),
    PLATFORM.text("id", "Compute platform, such as `aws-batch`."),
    PLATFORM.text("name", "Name of the compute platform."),
    ANSWER.boolean("schedEnabled", "Whether the platform's own scheduler ran the tasks."),
    ANSWER.text("schedRunId", "Identifier of the run in the platform's own scheduler."),
    SCHED.text("backendStrategy", "What runs the scheduler's tasks: ECS, EC2 or VM."),
    SCHED.text("provisioningModel", "Kind of machines: spot, spotFirst or ondemand."),
    SCHED.json("machineTypes", "Machine types allowed, a JSON list; empty means any."),
    SCHED.text("predictionModel", "Model that sizes tasks: none, qr/v1, qr/v2 or another."),
    SCHED.text("diskAllocation", "How disk is given to tasks, such as `nvme`."),
    SCHED.boolean("nvmeEnabled", "Whether only machines with local NVMe disks are used."),
    SCHED.boolean("fusionSnapshots", "Whether interrupted tasks go on from a snapshot."),
    SCHED.integer(
        "maxSpotAttempts",
        "Most attempts of a task on spot machines, the first included; since an API after 1.187.",
        "attempts",
    ),
    SCHED.integer(
        "maxCpusPerUser",
        "Most CPUs that one user may use at once; null for no limit; since an API after 1.187.",
        "CPUs",
    ),
    POOL.boolean("enabled", "Whether idle machines are kept warm."),
    POOL.integer("desiredWarm", "Idle machines to keep warm.", "machines"),
    POOL.integer("scaleToZeroSecs", "Idle time after which none is kept warm; 0 is never.", "s"),
)

WORKFLOWS = TableSpec(
    name="workflows",
    key=("id",),
    columns=(
        *_RUN_COLUMNS,
        *_NESTED_COLUMNS,
        *_ANSWER_COLUMNS,
        local_column(
            "missing_since",
            TIMESTAMP,
            "When a complete listing first lacked the run; null while the API lists it.",
            "UTC",
        ),
        local_column(
            "missing_parts",
            TEXT,
            "Parts that the server did not have when the run was fetched, a JSON list of `tasks`"
            " and `metrics`; null when the run is whole. Reconciliation retries them.",
            is_json=True,
        ),
        undocumented(),
    ),
    description="Runs of pipelines.",
    grain="One row per run; a resumed run is a run of its own, with the same `session_id`.",
    source="GET /workflow/{workflowId}",
)

_AROUND = frozenset(column.path[0] for column in _ANSWER_COLUMNS) | {
    column.path[0] for column in _RUN_COLUMNS if column.source.startswith(ANSWER.name)
}
_ELSEWHERE = frozenset({"workflow", "progress", "labels"})  # tables of their own


def workflow_record(described: Mapping[str, Any], *, starred: bool | None) -> dict[str, Any]:
    """Flatten the description of a run into one record for `workflows`.

    Args:
        described: Answer of GET /workflow/{workflowId}.
        starred: What the listing said of the run, None where it was not asked.

    Returns:
        The fields of the run and those around it side by side. Where both have a field of one name,
        the documented one keeps it and the other goes by its dotted name.

    Raises:
        ServerError: The answer holds no run.
    """
    run = described.get("workflow")
    if not isinstance(run, dict) or run.get("id") is None:
        msg = "The server's description of a run holds no run; ask for it again, or see its log."
        raise ServerError(msg)
    around = {"starred": starred}
    around |= {key: value for key, value in described.items() if key not in _ELSEWHERE}
    record = {**run, **around}
    for key in run.keys() & around.keys():
        if key in _AROUND:
            record[f"workflow.{key}"] = run[key]
        else:
            record |= {key: run[key], f"response.{key}": around[key]}
    return record


LABEL = ApiObject("LabelDbDto")

LABELS = TableSpec(
    name="labels",
    key=("id",),
    columns=(
        LABEL.integer("id", "Identifier of the label.", key=True),
        workspace_id("Workspace of the label (`workspaces.id`); null is the personal workspace."),
        LABEL.text("name", "Name of the label."),
        LABEL.text("value", "Value of a resource label; null for a plain one."),
        LABEL.boolean(
            "resource", "Whether it is a resource label, which goes onto cloud resources."
        ),
        LABEL.boolean("isDefault", "Whether new pipelines and runs get it by default."),
        LABEL.boolean("isDynamic", "Whether its value holds variables of the run."),
        LABEL.boolean("isInterpolated", "Whether the variables in its value have been filled in."),
        LABEL.timestamp("dateCreated", "When the label was created."),
        missing_since(),
        undocumented(),
    ),
    description="Labels.",
    grain="One row per label.",
    source="GET /labels, and GET /workflow/{workflowId}?attributes=labels",
)

WORKFLOW_LABELS = TableSpec(
    name="workflow_labels",
    key=("workflow_id", "label_id"),
    columns=(
        workflow_id(),
        ColumnSpec(
            "label_id",
            INTEGER,
            ("id",),
            "Label that the run carries (`labels.id`).",
            unit=None,
            source="LabelDbDto.id",
            nullable=False,
        ),
        workspace_id(),
        local_column(
            "_removed",
            BOOLEAN,
            "Tombstone by which a load drops links; true in no row, but in Iceberg tables of a dlt "
            "pipeline, which keep removed links.",
        ),
    ),
    description="Which run carries which label.",
    grain="One row per run and label.",
    source="GET /workflow/{workflowId}?attributes=labels",
    merge_key=("workflow_id",),
)


def label_rows(labels: Iterable[object], *, workspace_id: int | None) -> pa.Table:
    """Build `labels` from LabelDbDto objects of one workspace."""
    return LABELS.build(labels, workspace_id=workspace_id)


def label_links(
    labels: Iterable[object], *, workflow_id: str, workspace_id: int | None
) -> pa.Table:
    """Build `workflow_labels` from the LabelDbDto objects of one run; no label gives no row."""
    return WORKFLOW_LABELS.build(
        labels, workflow_id=workflow_id, workspace_id=workspace_id, _removed=False
    )


def label_link_tombstones(workflow_ids: Iterable[str], *, workspace_id: int | None) -> pa.Table:
    """Build the tombstones of runs that carry no label any more: one row a run, `label_id` 0."""
    ids = list(workflow_ids)
    columns = {
        "workflow_id": pa.array(ids, pa.string()),
        "label_id": pa.repeat(pa.scalar(0, INTEGER), len(ids)),
        "workspace_id": pa.array([workspace_id] * len(ids), INTEGER),
        "_removed": pa.repeat(pa.scalar(value=True), len(ids)),
    }
    return pa.table(columns, schema=WORKFLOW_LABELS.arrow_schema)
