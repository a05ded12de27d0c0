"""The page on the command line says what `--help` says."""

from __future__ import annotations

from pathlib import Path

from tower_etl.cli.docs import render_pages

WRITTEN = Path(__file__).parents[2] / "docs" / "command-line.md"


def test_the_written_page_is_that_of_the_commands() -> None:
    """Where it is stale: `make docs`."""
    assert render_pages() == WRITTEN.read_text(encoding="utf-8")
