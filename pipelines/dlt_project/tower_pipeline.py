"""A dlt project: put a token into `.dlt/secrets.toml`, then run `python tower_pipeline.py`."""

from pathlib import Path

import dlt

from tower_etl import run_in_packages, tower_source


def load_history() -> None:
    """Load new and changed runs in packages; an interrupted run resumes after the last one."""
    history = dlt.destinations.duckdb(str(Path(__file__).with_name("history.duckdb")))
    pipeline = dlt.pipeline("tower", destination=history, dataset_name="tower")
    for package in run_in_packages(pipeline, tower_source()):
        print(package)


if __name__ == "__main__":
    load_history()
