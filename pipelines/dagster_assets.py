"""The tables as Dagster assets, synced every 15 minutes: `dagster dev -f dagster_assets.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dagster import AssetExecutionContext, Definitions, ScheduleDefinition, define_asset_job
from dagster_dlt import DagsterDltResource, dlt_assets

from tower_etl import tower_source

pipeline = dlt.pipeline(
    pipeline_name="tower",
    destination=dlt.destinations.duckdb(str(Path("history.duckdb").resolve())),
    dataset_name="tower",
)


@dlt_assets(dlt_source=tower_source(), dlt_pipeline=pipeline, name="tower")  # type: ignore[untyped-decorator] # no types
def tower_assets(context: AssetExecutionContext, dlt: DagsterDltResource) -> Iterator[Any]:
    """One asset a table; all of them in one run, so that they share its calls."""
    # A fresh source for each run: the state of a sync is in the one that it was made for.
    yield from dlt.run(context=context, dlt_source=tower_source(), loader_file_format="parquet")


job = define_asset_job("tower_sync", selection=[tower_assets])
defs = Definitions(
    assets=[tower_assets],
    jobs=[job],
    schedules=[ScheduleDefinition(job=job, cron_schedule="*/15 * * * *")],
    resources={"dlt": DagsterDltResource()},
)
