"""Marts and their columns as Markdown, for `docs/questions.md`.

Usage: python -m tower_etl.views.model_page [PAGE]

Without a page, the section on the columns is printed; with one, its list of marts and its section
on the columns are replaced (`make docs`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.views.definitions import View

_LIST = re.compile(r"(?<=\| name \| answers \|\n\| --- \| --- \|\n)(?:\|.*\n)*")
_COLUMNS = re.compile(r"(?<=\n)### \w+\n\n[^\n]+\n\n\| column \| unit \| meaning \|\n.*", re.DOTALL)


def render_list() -> str:
    """Return a row of a table for each mart: name and description."""
    return "".join(f"| {view.name} | {view.description} |\n" for view in _list_marts())


def render_columns() -> str:
    """Return a section for each mart: description, grain, details and columns."""
    return "\n".join(line for view in _list_marts() for line in _iter_section(view))


def update_page(page: str) -> str:
    """Return the page with its list of marts and, at its end, their columns replaced."""
    listed = _LIST.sub(lambda _: render_list(), page)
    return _COLUMNS.sub(lambda _: render_columns(), listed)


def _list_marts() -> list[View]:
    return sorted(iter_views("marts"), key=lambda view: view.name)


def _iter_section(view: View) -> Iterator[str]:
    yield f"### {view.name}\n"
    yield f"{view.comment}\n"
    yield "| column | unit | meaning |"
    yield "| --- | --- | --- |"
    for name, docs in view.docs.columns.items():
        yield f"| `{name}` | {docs.unit} | {docs.description} |"
    yield ""


if __name__ == "__main__":
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
        target.write_text(update_page(target.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(render_columns())
