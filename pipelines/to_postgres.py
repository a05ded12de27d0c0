"""Sync into PostgreSQL with plain dlt, with credentials from dlt's configuration.

    export DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host/database
    TOWER_ACCESS_TOKEN=... python pipelines/to_postgres.py

Tables change one by one here. `tower-etl sync --destination postgres` commits load packages of
whole runs in one transaction, prevents a second sync, and adds the views.
"""

import dlt

from tower_etl import tower_source

pipeline = dlt.pipeline(pipeline_name="tower", destination="postgres", dataset_name="tower")

if __name__ == "__main__":
    print(pipeline.run(tower_source()))
    with pipeline.sql_client() as client:
        print(client.execute_sql("SELECT status, count(*) FROM workflows GROUP BY 1 ORDER BY 1"))
