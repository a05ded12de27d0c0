"""The sync as a Prefect flow, every 15 minutes: `python prefect_flow.py` serves the flow.

`TOWER_HISTORY` is the absolute path of the DuckDB file. Run
`prefect gcl create tower-sync --limit 1` once: this limit prevents two syncs at the same time.
"""

import os

import dlt
from prefect import flow, task
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.concurrency.sync import concurrency

from tower_etl import run_in_packages, tower_source

ONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


@task(retries=2, retry_delay_seconds=[60, 600])  # type: ignore[untyped-decorator] # untyped
def sync(path: str) -> dict[str, int]:
    """Load new and changed runs, and return the number of rows of each table."""
    history = dlt.destinations.duckdb(path)
    with concurrency("tower-sync", strict=True):  # strict: fail if the limit does not exist
        pipeline = dlt.pipeline("tower", destination=history, dataset_name="tower")
        run_in_packages(pipeline, tower_source(), loader_file_format="parquet")
        return dict(pipeline.dataset().row_counts().fetchall())


@flow(name="tower-sync", log_prints=True)  # type: ignore[untyped-decorator] # untyped
def tower_sync() -> None:
    """Sync the run history into a DuckDB file."""
    rows = sync(os.environ["TOWER_HISTORY"])
    print(f"{rows['workflows']} runs, {rows['tasks']} tasks")


if __name__ == "__main__":  # a run that is due during another run is cancelled
    tower_sync.serve(name="every-15-minutes", cron="*/15 * * * *", global_limit=ONE)
