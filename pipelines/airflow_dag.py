"""The sync as an Airflow DAG. Put it into the folder of DAGs; the token is in its environment.

Airflow keeps the time and the log; `tower-etl` keeps the state, the budget of calls and the lock.
Exit code 4 (some workspaces failed, the others are in) is told apart from a failure.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    "tower_sync",
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 Airflow takes it as UTC
    catchup=False,  # the sync itself catches up
    max_active_runs=1,
) as dag:
    sync = BashOperator(
        task_id="sync",
        bash_command="tower-etl sync --path {{ var.value.get('tower_path', 'tower.duckdb') }} "
        "|| [ $? -eq 4 ]",
        append_env=True,
    )
    check_age = BashOperator(
        task_id="check_age",
        bash_command="tower-etl status --max-age 1h "
        "--path {{ var.value.get('tower_path', 'tower.duckdb') }}",
        append_env=True,
    )
    sync >> check_age
