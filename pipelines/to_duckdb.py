"""Sync into a DuckDB file with plain dlt.

    TOWER_ACCESS_TOKEN=... python pipelines/to_duckdb.py

Run it again to load new and changed runs. Do not give the file the name of the schema: DuckDB names
the catalog after the file, and `tower.workflows` would be ambiguous.
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
