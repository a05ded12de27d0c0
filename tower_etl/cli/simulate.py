"""Command `tower-etl simulate`: the simulated platform as a server."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli.output import print_message
from tower_etl.errors import ConfigurationError
from tower_etl.text import install_command

if TYPE_CHECKING:
    from tower_etl.simulator import Simulator

_OPEN_RUNS = 5


@click.command("simulate")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8765,
    show_default=True,
    help="Port on the loopback interface; 0 for any free port.",
)
@click.option(
    "--runs",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Serve the dumped runs of a folder instead of generated data.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the generated data.")
@click.option(
    "--size",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Number of generated runs.",
)
@click.option("--no-limit", is_flag=True, help="Do not limit the call rate.")
@click.option(
    "--latency",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Delay of each response in seconds.",
)
def command(port: int, *, no_limit: bool, latency: float, **world: Any) -> None:  # noqa: ANN401 passed by click
    """Serve a simulated platform on loopback, with the pagination, errors and limits of the API."""
    sim = import_simulator()
    simulator = sim.Simulator(
        open_world(**world), limit=sim.NO_LIMIT if no_limit else sim.RateLimit(), latency_s=latency
    )
    try:
        sim.run_forever(simulator, port, _announce)
    except OSError as error:
        msg = f"Cannot listen on loopback port {port} ({error.strerror}). Choose another --port."
        raise ConfigurationError(msg) from None
    report_traffic(simulator)


def import_simulator() -> Any:  # noqa: ANN401 a module, whose import may fail
    """Return the simulator's package, which needs the extra `simulator`.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    try:
        import tower_etl.simulator  # noqa: PLC0415 needs the extra
    except ModuleNotFoundError as error:
        msg = f"The simulator needs the package {error.name}. Run: {install_command('simulator')}"
        raise ConfigurationError(msg) from None
    return tower_etl.simulator


def open_world(folder: Path | None, seed: int, size: int) -> Any:  # noqa: ANN401 a World
    """Return a generated world, or the dumped runs of a folder.

    Raises:
        ConfigurationError: The folder contains no dumped runs.
    """
    sim = import_simulator()
    if folder is None:
        return sim.build_world(seed, runs=size, open_runs=min(_OPEN_RUNS, size))
    try:
        return sim.load_runs(folder)
    except (ValueError, OSError) as error:
        msg = f"--runs: {error}"
        raise ConfigurationError(msg) from None


def _announce(endpoint: str) -> None:
    sim = import_simulator()
    print_message(
        f"Serving a simulated platform at {endpoint}. Stop it with Ctrl-C. To sync from it:\n"
    )
    print_message(f"  export TOWER_ACCESS_TOKEN={sim.DEMO_TOKEN}")
    print_message(f"  tower-etl sync --endpoint {endpoint}")


def report_traffic(simulator: Simulator) -> None:
    """Print the number of calls, the peak rate, and the number of responses 429."""
    sim = import_simulator()
    calls = simulator.calls
    throttled = sum(call.status == HTTPStatus.TOO_MANY_REQUESTS for call in calls)
    peak = sim.peak_calls_per_second(calls)
    print_message(f"\n{len(calls):,} calls, at most {peak} in any second, {throttled} throttled.")
