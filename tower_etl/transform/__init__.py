"""From API records to Arrow tables of several tables: runs, privacy, redaction. Pure functions."""

from tower_etl.transform.privacy import ColumnPolicy
from tower_etl.transform.runs import RunResponses, build_run, build_run_tables

__all__ = ["ColumnPolicy", "RunResponses", "build_run", "build_run_tables"]
