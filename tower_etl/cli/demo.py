"""Command `tower-etl demo`: two syncs of a simulated platform, example results and a report."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tower_etl.cli import options
from tower_etl.cli.bill import describe_load
from tower_etl.cli.output import print_message
from tower_etl.cli.progress import run_with_progress
from tower_etl.cli.simulate import import_simulator
from tower_etl.cli.tables import format_table
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.config.settings import Settings, SyncOptions, Token
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from tower_etl.destinations.base import Destination
    from tower_etl.pipeline import SyncReport
    from tower_etl.simulator import World

_DEMO_PATH = "tower-demo.duckdb"
_RUNS = 70
_QUESTIONS = {
    "cost_by_pipeline": (
        "What did each pipeline cost?",
        "pipeline, runs, succeeded_runs, failed_runs, cpu_hours, cost_usd, failed_cost_usd",
    ),
    "bill_by_user": (
        "What did the cloud bill for each user's runs on AWS, beside the platform's estimate?",
        "*",
    ),
    "failure_reasons": (
        "Why do tasks fail?",
        "process, exit_code, meaning, failed_tasks, retried_tasks, runs, cost_usd",
    ),
    "memory_requests": (
        "Which processes ask for more memory than they use?",
        "process, tasks, requested_gib, most_used_gib, recommended_gib, saves_at_least_usd",
    ),
}
_SHOWN_ROWS = 6


@click.command("demo")
@click.option(
    "--path",
    default=_DEMO_PATH,
    show_default=True,
    help="DuckDB file to create; the file of an earlier demo is replaced.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the generated data.")
def command(path: str, seed: int) -> int:
    """Sync a simulated platform twice, one simulated day apart; show results and write a report."""
    from tower_etl.destinations.duckdb import DuckDBDestination  # noqa: PLC0415 imports dlt
    from tower_etl.destinations.duckdb_files import resolve_duckdb_paths  # noqa: PLC0415 imports duckdb
    from tower_etl.source import select_command_tables  # noqa: PLC0415 imports dlt

    sim = import_simulator()
    destination = DuckDBDestination(resolve_duckdb_paths(path))
    _remove_previous_demo(destination.paths.path, replace=path == _DEMO_PATH)
    simulator = sim.Simulator(sim.build_world(seed, runs=_RUNS, open_runs=6, days=12))
    with sim.serve(simulator) as endpoint:
        sync_options = SyncOptions(tables=select_command_tables(()))
        settings = Settings(endpoint, Token(sim.DEMO_TOKEN), options=sync_options)
        first, code = _sync(settings, destination, "First sync: the full history")
        if code:
            return code
        simulator.world.clock.advance(24 * 3600)
        second, code = _sync(settings, destination, "One day later: new and still open runs")
    peak = sim.peak_calls_per_second(simulator.calls)
    print_message(
        f"\nThe second sync took {second.calls} calls instead of {first.calls}. The server "
        f"received at most {peak} calls in any second (limit 20)."
    )
    _load_bill(simulator.world, path)
    _print_answers(path)
    _write_report(path)
    return code


def _sync(settings: Settings, destination: Destination, title: str) -> tuple[SyncReport, int]:
    from tower_etl.pipeline import SyncRunner  # noqa: PLC0415 imports dlt and duckdb

    report, code = run_with_progress(SyncRunner(settings, destination))
    sync_result = report.result
    print_message(
        f"\n{title}: {sync_result.fetched} runs and {sync_result.tasks:,} tasks "
        f"with {report.calls} calls in {report.seconds:.0f} s"
    )
    print_message(format_table(("table", "rows written"), sorted(report.rows.items())))
    return report, code


def _load_bill(world: World, path: str) -> None:
    """Load a generated bill of the runs, as `tower-etl bill load` does."""
    from tower_etl.billing.load import BillLoad  # noqa: PLC0415 imports dlt
    from tower_etl.destinations.base import open_destination  # noqa: PLC0415 imports dlt and duckdb

    config = options.destination_config("duckdb", path)
    with tempfile.TemporaryDirectory(prefix="tower-etl-demo-") as folder:
        export = Path(folder) / "bill.csv.gz"
        import_simulator().write_bill(world, export)
        destination = open_destination(config)
        load = BillLoad(destination, (str(export),), "aws", SYSTEM_CLOCK, on_file=lambda _: None)
        report = load.run()
    print_message(f"\nA bill that fits the runs: {describe_load(report, config)}")


def _print_answers(path: str) -> None:
    from tower_etl.warehouse.reader import open_reader, run_query  # noqa: PLC0415 imports duckdb

    with open_reader(path) as connection:
        for name, (question, columns) in _QUESTIONS.items():
            names, rows = run_query(
                connection,
                f"SELECT {columns} FROM {name} LIMIT {_SHOWN_ROWS}",  # noqa: S608 constants
            )
            print_message(f"\n{question}  (tower-etl query {name} --path {path})")
            print_message(format_table(names, rows))
    print_message(f"\nThe tables are in {path}. Open it with DuckDB or pandas, or run")
    select = "SELECT status, count(*) FROM workflows GROUP BY 1"
    print_message(f"  tower-etl query '{select}' --path {path}")


def _report_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-report.html")


def _write_report(path: str) -> None:
    from tower_etl.report.render import write_report  # noqa: PLC0415 imports duckdb and jinja2
    from tower_etl.warehouse.filters import RunFilter  # noqa: PLC0415 imports duckdb

    output = _report_path(Path(path))
    write_report(path, output, SYSTEM_CLOCK.now(), scope=RunFilter())
    print_message(f"\nThe HTML report is {output}. For your own data: tower-etl report")


def _remove_previous_demo(path: Path, *, replace: bool) -> None:
    """Delete the file of an earlier demo at the default path; reject any other existing file."""
    from tower_etl.warehouse.reader import open_reader  # noqa: PLC0415 imports duckdb

    existing = [file for file in (path, _report_path(path)) if file.exists()]
    if existing and not replace:
        msg = f"{existing[0]} exists, and the demo would overwrite it. Choose another --path."
        raise ConfigurationError(msg)
    if not path.exists():
        return
    with open_reader(path) as connection:
        foreign_syncs = connection.execute(
            "SELECT count(*) FROM sync_runs WHERE server_version IS NULL"
            " OR server_version NOT LIKE '%-sim' OR endpoint NOT LIKE '127.0.0.1:%'"
        ).fetchone()
    if foreign_syncs != (0,):
        msg = f"{path} contains data other than a demo's. Choose another --path."
        raise ConfigurationError(msg)
    path.unlink()
