"""Keep a folder of Parquet files up to date, and read it with pandas.

    TOWER_ACCESS_TOKEN=... python pipelines/to_parquet.py

dlt's own Parquet files hold a row once for every time that it changed; `tower-etl sync` writes a
folder with one row a key, and this is the same from Python.
"""

import subprocess
import sys

import pandas as pd

FOLDER = "tower-parquet"

if __name__ == "__main__":
    sync = [sys.executable, "-m", "tower_etl", "sync", "--destination", "parquet", "--path", FOLDER]
    done = subprocess.run(sync, check=False)  # noqa: S603 the command is our own
    if done.returncode not in {0, 4}:  # 4: some workspaces failed, the others are in
        sys.exit(done.returncode)
    print(pd.read_parquet(f"{FOLDER}/workflows")["status"].value_counts())
