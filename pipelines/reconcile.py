"""Reconcile now: compare a full listing of the platform with the stored runs.

    TOWER_ACCESS_TOKEN=... python pipelines/reconcile.py

A sync reconciles once a day by itself. Rows of runs that the platform has deleted are kept and
marked with `missing_since`.
"""

from pathlib import Path

import dlt

from tower_etl import tower_source

pipeline = dlt.pipeline(
    pipeline_name="tower",  # the same name and state as in to_duckdb.py
    destination=dlt.destinations.duckdb(str(Path("history.duckdb").resolve())),
    dataset_name="tower",
)

if __name__ == "__main__":
    print(pipeline.run(tower_source(reconcile=True), loader_file_format="parquet"))
    with pipeline.sql_client() as client:
        missing = "SELECT id, missing_since FROM workflows WHERE missing_since IS NOT NULL"
        print(client.execute_sql(missing))
