"""Two sources in one pipeline: the run history and a table of budgets.

TOWER_ACCESS_TOKEN=... python pipelines/with_another_source.py
"""

from collections.abc import Iterator
from pathlib import Path

import dlt

from tower_etl import tower_source


@dlt.resource(name="budgets", primary_key="pipeline", write_disposition="merge")
def read_budgets() -> Iterator[dict[str, object]]:
    """Yield the budget of each pipeline, for example from a file or another service."""
    yield {"pipeline": "nf-core/rnaseq", "usd": 500.0}
    yield {"pipeline": "nf-core/sarek", "usd": 300.0}


pipeline = dlt.pipeline(
    pipeline_name="tower_budgets",
    destination=dlt.destinations.duckdb(str(Path("budgets.duckdb").resolve())),
    dataset_name="tower",
)

if __name__ == "__main__":
    print(pipeline.run(tower_source(), loader_file_format="parquet"))
    print(pipeline.run(read_budgets()))
    with pipeline.sql_client() as client:
        over = "SELECT pipeline, usd, sum(t.cost) FROM budgets JOIN workflows w ON pipeline = "
        over += "w.project_name JOIN tasks t ON t.workflow_id = w.id GROUP BY 1, 2 ORDER BY 1"
        print(client.execute_sql(over))
