"""What runs read: `datasets`, `dataset_versions` and `data_links`."""

from __future__ import annotations

from tower_etl.tables.column import (
    TEXT,
    ApiObject,
    local_column,
    missing_since,
    undocumented,
    workspace_id,
)
from tower_etl.tables.table import TableSpec

DATASET = ApiObject("DatasetDto")
OWNER = ApiObject("UserInfo", ("user",))
CHANGED_BY = ApiObject("UserInfo", ("lastUpdatedBy",))
RUNS = ApiObject("DatasetRunsInfo", ("runsInfo",))
VERSION = ApiObject("DatasetVersionDto")
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
        VERSION.text("datasetId", "Dataset of the version (`datasets.id`).", key=True),
        VERSION.integer("version", "Number of the version.", "version", key=True),
        VERSION.integer(
            "workspaceId", "Workspace of the dataset (`workspaces.id`); null is the personal one."
        ),
        VERSION.text("datasetName", "Name of the dataset."),
        VERSION.text("datasetDescription", "What the dataset holds."),
        VERSION.text("fileName", "Name of the file."),
        VERSION.integer("fileSize", "Size of the file.", "bytes"),
        VERSION.text("mediaType", "Media type of the file."),
        VERSION.boolean("hasHeader", "Whether the first line of the file names its columns."),
        VERSION.text("url", "Address of the file."),
        VERSION.boolean("disabled", "Whether the version is disabled."),
        VERSION.timestamp("dateCreated", "When the version was made."),
        VERSION.timestamp("lastUpdated", "When the version was last changed."),
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
