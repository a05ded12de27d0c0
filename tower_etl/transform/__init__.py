"""Transformation of API records to Arrow tables, with privacy and redaction. Pure functions."""

from tower_etl.transform.privacy import ColumnPolicy
from tower_etl.transform.runs import RunResponses, build_run_tables

__all__ = ["ColumnPolicy", "RunResponses", "build_run_tables"]
