"""Query a Parquet or Delta folder with Spark: `on_spark.py tower-delta cost_by_pipeline`."""

import json
import sys
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from tower_etl.views.definitions import iter_views
from tower_etl.views.dialects import translate


def read_table(spark: SparkSession, folder: Path) -> DataFrame:
    """Return the current rows of a table; a Delta table is read without Delta's jars."""
    if not (folder / "_delta_log").is_dir():
        return spark.read.parquet(str(folder))
    table = DeltaTable(folder)
    if table.protocol().min_reader_version > 1:  # deletion vectors: the files are not enough
        raise NotImplementedError(folder)
    columns = StructType.fromJson(json.loads(table.schema().to_json()))
    files = [unquote(uri) for uri in table.file_uris()]  # Spark expects unencoded paths
    return spark.read.schema(columns).option("basePath", str(folder)).parquet(*files)


def add_views(spark: SparkSession, folder: Path) -> None:
    """Create temporary views of all tables and named queries."""
    snapshot = folder / ".snapshots" / "current"  # Parquet: kept for two hours
    for table in (snapshot if snapshot.exists() else folder).resolve().glob("[a-z]*/"):
        read_table(spark, table).createOrReplaceTempView(table.name)
    for view in iter_views():
        spark.sql(f"CREATE OR REPLACE TEMP VIEW {view.name} AS {translate(view.sql, 'spark')}")


if __name__ == "__main__":
    add_views(SparkSession.builder.getOrCreate(), Path(sys.argv[1]))
    SparkSession.active().table(sys.argv[2]).show(truncate=False)
