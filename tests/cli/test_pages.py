"""The page of the command line has the text of `--help`."""

from __future__ import annotations

from pathlib import Path

from tower_etl.cli.docs import render_pages

WRITTEN = Path(__file__).parents[2] / "docs" / "command-line.md"


def test_the_page_of_the_command_line_is_current() -> None:
    """`make docs` updates the page."""
    assert render_pages() == WRITTEN.read_text(encoding="utf-8")
