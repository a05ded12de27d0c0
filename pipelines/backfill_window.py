"""Load only the runs that were submitted in a period, here one month.

TOWER_ACCESS_TOKEN=... python pipelines/backfill_window.py 2026-01-01 2026-02-01
"""

import sys
from pathlib import Path

import dlt

from tower_etl import tower_source

pipeline = dlt.pipeline(
    pipeline_name="tower_window",
    destination=dlt.destinations.duckdb(str(Path("window.duckdb").resolve())),
    dataset_name="tower",
)

if __name__ == "__main__":
    try:
        since, until = sys.argv[1:]
    except ValueError:
        sys.exit("usage: backfill_window.py SINCE UNTIL")
    print(pipeline.run(tower_source(since=since, until=until), loader_file_format="parquet"))
