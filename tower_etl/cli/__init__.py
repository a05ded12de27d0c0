"""Command line interface: one module per command, imported when the command is called."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli.failures import report_failure
from tower_etl.cli.output import LEVELS, configure_logging, finish_streams, prepare_streams
from tower_etl.config.catalog import SETTINGS, list_misspelt
from tower_etl.gc_tuning import reduced_gc
from tower_etl.text import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger(__name__)

_COMMANDS = {
    "sync": "Bring the tables up to date.",
    "check": "Check endpoint, token and table access.",
    "status": "Show the state of a destination per workspace.",
    "query": "Run a named query or your own SELECT.",
    "bill": "Load cloud bills, and check how much of them is attributed.",
    "compare": "Compare two groups of runs, task by task.",
    "report": "Write an HTML report on cost, waste and failures.",
    "notebooks": "Copy the notebooks into a folder.",
    "maintain": "Expire old snapshots and delete unreferenced files (lake destinations).",
    "views": "Create or replace the SQL views of a DuckDB file.",
    "simulate": "Serve a simulated platform on the loopback interface.",
    "demo": "Sync a simulated platform twice and show example results.",
}


class LazyGroup(click.Group):
    """Command group that imports a command when it is called.

    Importing dlt and DuckDB takes about a second, which `--help` must not need.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of their first use."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name, or None if there is none."""
        if cmd_name not in _COMMANDS:
            if not ctx.resilient_parsing and (hint := suggest(cmd_name, _COMMANDS)):
                ctx.fail(f"No such command {cmd_name!r}.{hint}")
            return None
        command: click.Command = importlib.import_module(f"tower_etl.cli.{cmd_name}").command
        return command

    def make_context(self, *args: Any, **extra: Any) -> click.Context:  # noqa: ANN401 the base's
        """Parse the arguments, and print the help if they request it."""
        with _ignore_broken_pipe():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 what the command returns
        """Run the command, or print its help."""
        with _ignore_broken_pipe():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing their modules."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@contextmanager
def _ignore_broken_pipe() -> Iterator[None]:
    """Exit with 0 if the reader of the help has closed the pipe, as `head` does."""
    try:
        yield
    except BrokenPipeError:  # click would exit with 1
        raise click.exceptions.Exit(0) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tower-etl", prog_name="tower-etl")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="warning",
    envvar=SETTINGS["log_level"].env_name,
    show_default=True,
    show_envvar=True,
    help="Lowest level of the log lines on standard error.",
)
def cli(log_level: str) -> None:
    """Sync the run history of Seqera Platform into tables.

    The access token is read from TOWER_ACCESS_TOKEN, a command, the system keyring or
    .dlt/secrets.toml, never from an option.
    """
    configure_logging(log_level)
    for message in list_misspelt(os.environ):
        _logger.warning(message)


def main() -> None:
    """Run the command line and exit with its exit code: 0 to 6, or 128 plus a signal number."""
    prepare_streams()
    try:
        with reduced_gc():
            code = cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 users see messages, not tracebacks
        code = report_failure(error, as_json="--json" in sys.argv[1:])
    finish_streams()
    sys.exit(code if isinstance(code, int) else 0)
