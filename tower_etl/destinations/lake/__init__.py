"""Lakes: folders or buckets of Parquet, Delta or Iceberg tables."""
