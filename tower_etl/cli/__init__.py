"""The command line: parses and prints. A command is a short module, imported when called."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

import click

from tower_etl.errors import TowerEtlError
from tower_etl.garbage import collect_seldom
from tower_etl.redaction import redact_text

_COMMANDS = {
    "sync": "Bring the tables up to date.",
    "check": "Ask the server who it is, and what the token may see.",
    "status": "Show what a target holds, workspace by workspace.",
    "query": "Run a named question or a SELECT of your own.",
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

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 what the command returns
        """Run the command; that nobody reads its output to the end, as `head` does, is no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tower-etl", prog_name="tower-etl")
def cli() -> None:
    """The run history of Seqera Platform, in tables.

    The token is read from TOWER_ACCESS_TOKEN, a command, the keyring or .dlt/secrets.toml, never
    from a flag.
    """


def main() -> None:
    """Run the command line and exit by the contract (0 to 6, 128 and the signal's number)."""
    try:
        with collect_seldom():
            code = cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except TowerEtlError as error:
        click.echo(f"Error: {error}", err=True)
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 the last line of defence: one sentence, exit 1
        code = _report_fault(error)
    sys.exit(code if isinstance(code, int) else 0)


def _report_fault(error: Exception) -> int:
    if os.environ.get("TOWER_ETL_DEBUG"):
        click.echo(redact_text(traceback.format_exc()), err=True)
    reason = redact_text(" ".join(str(error).split()))[:300]
    click.echo(
        f"Error: a fault of tower-etl ({type(error).__name__}: {reason}). What was committed "
        "stays. Run again; if it comes back, report it with the output of TOWER_ETL_DEBUG=1.",
        err=True,
    )
    return 1
