"""The sync as an Airflow 3 DAG, every 15 minutes. Copy this file into the folder of DAGs.

The Variable `tower_path` is the absolute path of the DuckDB file; in the Connection `tower`, the
host is the API endpoint and the password is the token. The Variable `tower_command` is the path of
`tower-etl` if it is installed in a separate virtual environment.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

TOWER_ETL = "{{ var.value.get('tower_command', 'tower-etl') }}"
OPTIONS = {
    "cwd": "/",  # instead of the temporary folder of the task
    "append_env": True,
    "env": {
        "TOWER_ACCESS_TOKEN": "{{ conn.tower.password }}",  # masked by Airflow in logs
        "TOWER_API_ENDPOINT": "{{ conn.tower.host }}",
        "TOWER_PATH": "{{ var.value.tower_path }}",
    },
}
# Exit code 4: some workspaces failed; `check_age` fails if one is not synced for an hour.
SYNC = TOWER_ETL + ' sync --json --path "$TOWER_PATH" || (code=$?; [ $code = 4 ] || exit $code)'
CHECK_AGE = TOWER_ETL + ' status --max-age 1h --path "$TOWER_PATH"'

with DAG(
    "tower_sync",
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # one sync loads all new runs
    max_active_runs=1,
) as dag:
    sync = BashOperator(  # exit code 6: another sync holds the file
        task_id="sync", bash_command=SYNC, retries=2, skip_on_exit_code=6, **OPTIONS
    )
    check_age = BashOperator(
        task_id="check_age", bash_command=CHECK_AGE, trigger_rule="none_failed", **OPTIONS
    )
    sync >> check_age
