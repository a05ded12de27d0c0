"""Sync into PostgreSQL with plain dlt, with credentials from dlt's configuration.

    export DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host/database
    TOWER_ACCESS_TOKEN=... python pipelines/to_postgres.py

Readers see a table at a time change here; `tower-etl sync --destination postgres` shows a package
of whole runs at once, keeps a second sync out, and adds the views.
"""

import dlt

from tower_etl import tower_source

pipeline = dlt.pipeline(pipeline_name="tower", destination="postgres", dataset_name="tower")

if __name__ == "__main__":
    print(pipeline.run(tower_source()))
    with pipeline.sql_client() as client:
        print(client.execute_sql("SELECT status, count(*) FROM workflows GROUP BY 1 ORDER BY 1"))
