"""Materialises the assets of the Dagster example in this process, and shows what they hold."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import dagster
import duckdb

EXAMPLE = Path(__file__).parents[2] / "pipelines" / "dagster_assets.py"

if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("dagster_assets", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dagster_assets"] = module
    spec.loader.exec_module(module)
    for _ in range(2):
        done = dagster.materialize(
            [module.tower_assets], resources={"dlt": module.defs.resources["dlt"]}
        )
        assert done.success
    with duckdb.connect("history.duckdb", read_only=True) as connection:
        runs = connection.execute("SELECT id FROM tower.workflows").fetchall()
    sys.stdout.write(f"{runs}\n")
