"""Every link between the pages leads somewhere: to a file, and to a heading that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "*/*.md", "*/decisions/*.md", "tests/*/*.md")
    for page in ROOT.glob(pattern)
    if not page.parts[len(ROOT.parts)].startswith(".")
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    """Those within the project; what is on the web is not asked."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, heading = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (heading and heading not in list_anchors(there)):
            broken.append(link)
    assert not broken


def list_anchors(page: Path) -> set[str]:
    """The names by which headings of a page can be linked to."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {name_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def name_anchor(heading: str) -> str:
    """In lower case, without marks, a hyphen for each space."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
