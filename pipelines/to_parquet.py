"""Keep a folder of Parquet files up to date, and read it with pandas.

    TOWER_ACCESS_TOKEN=... python pipelines/to_parquet.py

dlt's `filesystem` destination appends a row to its Parquet files for each change. `tower-etl sync`,
which this script runs, writes a folder with one row per key.
"""

import subprocess
import sys

import pandas as pd

FOLDER = "tower-parquet"

if __name__ == "__main__":
    sync = [sys.executable, "-m", "tower_etl", "sync", "--destination", "parquet", "--path", FOLDER]
    done = subprocess.run(sync, check=False)  # noqa: S603 a constant command
    if done.returncode not in {0, 4}:  # 4: some workspaces failed, the others are synced
        sys.exit(done.returncode)
    print(pd.read_parquet(f"{FOLDER}/workflows")["status"].value_counts())
