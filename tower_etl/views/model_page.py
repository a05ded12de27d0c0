"""The marts and their columns as Markdown, for `docs/questions.md`.

Usage: python -m tower_etl.views.model_page
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.views.definitions import View


def render_columns() -> str:
    """Return a section for each mart: description, grain, details and columns."""
    views = sorted(iter_views("marts"), key=lambda view: view.name)
    return "\n".join(line for view in views for line in _iter_section(view))


def _iter_section(view: View) -> Iterator[str]:
    yield f"### {view.name}\n"
    yield f"{view.comment}\n"
    yield "| column | unit | meaning |"
    yield "| --- | --- | --- |"
    for name, docs in view.docs.columns.items():
        yield f"| `{name}` | {docs.unit} | {docs.description} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(render_columns())
