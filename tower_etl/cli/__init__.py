"""The command line: parses and prints. A command is a short module, imported when called."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli.failures import report_failure
from tower_etl.cli.logs import LEVELS, configure_logging
from tower_etl.cli.output import finish_streams, prepare_streams
from tower_etl.gc_tuning import reduced_gc

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMANDS = {
    "sync": "Bring the tables up to date.",
    "check": "Ask the server who it is, and what the token may see.",
    "status": "Show what a target holds, workspace by workspace.",
    "query": "Run a named question or a SELECT of your own.",
    "bill": "Load cloud bills, and check how much of them is attributed.",
    "compare": "Compare two groups of runs, task by task.",
    "report": "Write one HTML file about cost, waste and failures.",
    "maintain": "Remove what no reader of a lake needs any more.",
    "views": "Create or replace the SQL views of a target.",
    "simulate": "Serve a simulated platform on loopback.",
    "demo": "Sync a simulated platform twice and show the answers.",
}


class LazyGroup(click.Group):
    """Imports a command only when it is called: `--help` needs neither dlt nor DuckDB."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a user meets them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None if there is none."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tower_etl.cli.{cmd_name}")
        command = module.command
        return command if isinstance(command, click.Command) else None

    def make_context(self, *args: Any, **extra: Any) -> click.Context:  # noqa: ANN401 the base's
        """Read the arguments, and print the help where they ask for it."""
        with _leave_quietly():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 what the command returns
        """Run the command, or print its help."""
        with _leave_quietly():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@contextmanager
def _leave_quietly() -> Iterator[None]:
    """End with 0 where the reader of the help has left, as `head` does: click would end with 1."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(0) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tower-etl", prog_name="tower-etl")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="warning",
    envvar="TOWER_ETL_LOG_LEVEL",
    show_default=True,
    show_envvar=True,
    help="Least level of the log lines on standard error.",
)
def cli(log_level: str) -> None:
    """The run history of Seqera Platform, in tables.

    The token is read from TOWER_ACCESS_TOKEN, a command, the keyring or .dlt/secrets.toml, never
    from a flag.
    """
    configure_logging(log_level)


def main() -> None:
    """Run the command line and exit by the contract (0 to 6, 128 and the signal's number)."""
    prepare_streams()
    try:
        with reduced_gc():
            code = cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 the last line of defence
        code = report_failure(error, as_json="--json" in sys.argv[1:])
    finish_streams()
    sys.exit(code if isinstance(code, int) else 0)
