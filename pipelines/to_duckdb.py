"""Sync into a DuckDB file of your own with plain dlt.

    TOWER_ACCESS_TOKEN=... python pipelines/to_duckdb.py

Run it again for what is new. The file is not called like the schema, because DuckDB names a file's
catalog after it, and `tower.workflows` could then be of either.
"""

from pathlib import Path

import dlt

from tower_etl import tower_source

pipeline = dlt.pipeline(
    pipeline_name="tower",
    destination=dlt.destinations.duckdb(str(Path("history.duckdb").resolve())),
    dataset_name="tower",
)

if __name__ == "__main__":
    print(pipeline.run(tower_source(), loader_file_format="parquet"))
    with pipeline.sql_client() as client:
        print(client.execute_sql("SELECT status, count(*) FROM workflows GROUP BY 1 ORDER BY 1"))
