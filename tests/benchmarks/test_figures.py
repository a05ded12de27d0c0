"""The page of figures in the documentation has the figures that were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import read_figures
from benchmarks.report import PAGE, write_report

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_has_the_measured_figures(tmp_path: Path) -> None:
    """`make benchmark SIZE=report` writes the page again."""
    write_report(read_figures(), tmp_path / "page.md")
    assert PAGE.read_text(encoding="utf-8") == (tmp_path / "page.md").read_text(encoding="utf-8")
