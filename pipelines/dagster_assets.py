"""The tables as Dagster assets, synced every 15 minutes: `dagster dev -f dagster_assets.py`.

`TOWER_HISTORY` is the absolute path of the DuckDB file. Any selection of tables can be
materialised; a table that is selected later is filled completely.
"""

import os
from collections.abc import Iterator

import dagster as dg
import dlt

from tower_etl import run_in_packages, tower_source
from tower_etl.schema import ON_DEMAND, TABLES

tables = [TABLES[name] for name in TABLES if name not in ON_DEMAND]
specs = [dg.AssetSpec(["tower", table.name], description=table.description) for table in tables]
retries = dg.RetryPolicy(max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL)


@dg.multi_asset(  # type: ignore[untyped-decorator] # untyped; `dagster.yaml` limits the pool
    specs=specs, can_subset=True, group_name="tower", retry_policy=retries, pool="tower"
)
def tower_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Sync the selected tables."""
    history = dlt.destinations.duckdb(os.environ["TOWER_HISTORY"])
    pipeline = dlt.pipeline("tower", destination=history, dataset_name="tower")
    names = [key.path[-1] for key in context.selected_asset_keys]
    run_in_packages(pipeline, tower_source(tables=names), loader_file_format="parquet")
    rows = dict(pipeline.dataset().row_counts().fetchall())
    for name in names:
        metadata = {"dagster/row_count": rows.get(name, 0)}
        yield dg.MaterializeResult(["tower", name], metadata=metadata)


job = dg.define_asset_job("tower_sync", selection=[tower_tables])
every_15_minutes = dg.ScheduleDefinition(
    job=job, cron_schedule="*/15 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
defs = dg.Definitions(assets=[tower_tables], jobs=[job], schedules=[every_15_minutes])
