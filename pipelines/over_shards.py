"""Query several DuckDB files, synced from different workspaces, as one database.

    python pipelines/over_shards.py cost_by_workspace shards/*.duckdb

Rows that belong to no run, such as users, may be in several files: one row per key is kept.
"""

import sys

import duckdb

from tower_etl.schema import STORED_TABLES
from tower_etl.views.definitions import create_views, iter_views


def open_shards(paths: list[str]) -> duckdb.DuckDBPyConnection:
    """Return a connection with tables and named queries over all files."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for number, path in enumerate(paths):
        connection.execute(f"ATTACH '{path}' AS shard{number} (READ_ONLY)")
    for name, table in STORED_TABLES.items():
        shards = [f"FROM shard{number}.tower.{name}" for number in range(len(paths))]
        of_runs = name == "workflows" or "workflow_id" in table.key
        once = "" if of_runs else f"DISTINCT ON ({', '.join(table.key)})"
        rows = f"SELECT {once} * FROM ({' UNION ALL BY NAME '.join(shards)})"  # noqa: S608 names
        connection.execute(f"CREATE VIEW {name} AS {rows}")
    create_views(connection, iter_views())
    return connection


if __name__ == "__main__":
    with open_shards(sys.argv[2:]) as history:
        print(history.sql(f"FROM {sys.argv[1]}"))
