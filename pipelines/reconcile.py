"""Compare everything that the platform lists with what is stored, whatever the time of day.

    TOWER_ACCESS_TOKEN=... python pipelines/reconcile.py

A sync does so once a day by itself. Runs that the platform has forgotten keep their rows and get
`missing_since`.
"""

from pathlib import Path

import dlt

from tower_etl import tower_source

pipeline = dlt.pipeline(
    pipeline_name="tower",  # the same as in to_duckdb.py: it goes on from its state
    destination=dlt.destinations.duckdb(str(Path("history.duckdb").resolve())),
    dataset_name="tower",
)

if __name__ == "__main__":
    print(pipeline.run(tower_source(reconcile=True), loader_file_format="parquet"))
    with pipeline.sql_client() as client:
        missing = "SELECT id, missing_since FROM workflows WHERE missing_since IS NOT NULL"
        print(client.execute_sql(missing))
