"""Generator of docs/command-line.md: the `--help` text of every command.

Usage: python -m tower_etl.cli.docs
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tower_etl.cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 100
_HEAD = """# The command line

The output of `--help` for every command. Exit codes, and the settings in the environment and in
configuration files, are in the [README](../README.md#sync-your-own).
"""


def render_pages() -> str:
    """Return the help of all commands as Markdown, in the order of `tower-etl --help`."""
    return "\n".join([_HEAD, *_iter_sections()])


def _iter_sections() -> Iterator[str]:
    context = _make_context(cli, "tower-etl")
    yield _render(cli, context)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None  # noqa: S101 the name comes from list_commands
        yield from _iter_command(command, _make_context(command, name, context))


def _iter_command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield _render(command, context)
    if isinstance(command, click.Group):
        for name, subcommand in command.commands.items():
            yield _render(subcommand, _make_context(subcommand, name, context))


def _make_context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )


def _render(command: click.Command, context: click.Context) -> str:
    return f"## `{context.command_path}`\n\n```\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(render_pages())
