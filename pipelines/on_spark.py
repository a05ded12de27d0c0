"""Ask Spark about a folder of Parquet or Delta: `on_spark.py tower-delta cost_by_pipeline`."""

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
    """A table as it is now; of Delta the files that count, which takes no jar."""
    if not (folder / "_delta_log").is_dir():
        return spark.read.parquet(str(folder))
    table = DeltaTable(folder)
    if table.protocol().min_reader_version > 1:  # with deletion vectors, files are not all
        raise NotImplementedError(folder)
    columns = StructType.fromJson(json.loads(table.schema().to_json()))
    files = [unquote(uri) for uri in table.file_uris()]  # Spark takes paths, which are not encoded
    return spark.read.schema(columns).option("basePath", str(folder)).parquet(*files)


def add_views(spark: SparkSession, folder: Path) -> None:
    """Temporary views of all tables and questions."""
    snapshot = folder / ".snapshots" / "current"  # of Parquet: it stays for two hours
    for table in (snapshot if snapshot.exists() else folder).resolve().glob("[a-z]*/"):
        read_table(spark, table).createOrReplaceTempView(table.name)
    for view in iter_views():
        spark.sql(f"CREATE OR REPLACE TEMP VIEW {view.name} AS {translate(view.sql, 'spark')}")


if __name__ == "__main__":
    add_views(SparkSession.builder.getOrCreate(), Path(sys.argv[1]))
    SparkSession.active().table(sys.argv[2]).show(truncate=False)
