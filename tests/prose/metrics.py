"""Measure the code base: `python -m tests.prose.metrics` (`make metrics`)."""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.prose.words import find_retired

ROOT = Path(__file__).parents[2]
_SMALL_LINES = 80
# First words of function docstrings that are not verbs: articles, pronouns, conjunctions.
_NO_VERBS = frozenset(
    (
        *("a", "all", "an", "any", "as", "at", "by", "each", "every", "for", "from", "her", "his"),
        *("how", "if", "in", "it", "its", "likewise", "no", "nobody", "none", "nothing", "of"),
        *("on", "one", "our", "same", "some", "such", "that", "the", "their", "there", "these"),
        *("they", "this", "those", "to", "two", "what", "when", "where", "whether", "which", "who"),
        *("whose", "why", "with"),
    )
)


@dataclass
class Figures:
    """Figures of a set of modules.

    Attributes:
        modules: Number of lines by module.
        comments: Number of comments.
        functions: Lines of the body of each function, without its docstring.
        docstrings: Number of docstrings of functions.
        no_verbs: Number of these docstrings that do not begin with a verb.
    """

    modules: dict[Path, int] = field(default_factory=dict)
    comments: int = 0
    functions: list[int] = field(default_factory=list)
    docstrings: int = 0
    no_verbs: int = 0

    def add(self, path: Path) -> None:
        """Add the figures of a module."""
        text = path.read_text(encoding="utf-8")
        self.modules[path] = text.count("\n")
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        self.comments += sum(token.type == tokenize.COMMENT for token in tokens)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                self._add_function(node)

    def _add_function(self, node: ast.FunctionDef) -> None:
        docstring = ast.get_docstring(node)
        body = node.body[1:] if docstring else node.body
        if body:
            self.functions.append((body[-1].end_lineno or 0) - body[0].lineno + 1)
        if docstring:
            self.docstrings += 1
            self.no_verbs += docstring.split()[0].lower().strip("`,.:") in _NO_VERBS

    @property
    def lines(self) -> int:
        """Number of lines of all modules."""
        return sum(self.modules.values())


def measure(*folders: str, but: str = "") -> Figures:
    """Measure the modules below some folders, without those below the folder `but`."""
    figures = Figures()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not but or not path.is_relative_to(ROOT / but):
                figures.add(path)
    return figures


def describe(title: str, figures: Figures) -> str:
    """Return the figures as lines of text."""
    small = [path for path, lines in figures.modules.items() if 1 < lines < _SMALL_LINES]
    lengths = sorted(figures.functions)
    return "\n".join(
        (
            f"{title}: {figures.lines:,} lines in {len(figures.modules)} modules",
            f"  modules below {_SMALL_LINES} lines: {len(small)}",
            f"  lines of a function: median {statistics.median(lengths):g}",
            f"  p90 {lengths[len(lengths) * 9 // 10]}, maximum {lengths[-1]}",
            f"  comments per 1,000 lines: {1000 * figures.comments / figures.lines:.1f}",
            f"  function docstrings: {figures.docstrings}",
            f"  of which without a verb at the start: {figures.no_verbs / figures.docstrings:.0%}",
        )
    )


def main() -> None:
    """Print the figures of the connector, the simulator and the tests."""
    connector = measure("tower_etl", but="tower_etl/simulator")
    packages = Counter[str]()
    for path, count in connector.modules.items():
        parts = path.relative_to(ROOT / "tower_etl").parts
        packages[parts[0] if len(parts) > 1 else "(top level)"] += count
    lines = (
        describe("Connector", connector),
        *(f"    {package:14}{count:6,}" for package, count in packages.most_common()),
        describe("Simulator", measure("tower_etl/simulator")),
        describe("Tests", measure("tests", "benchmarks")),
        f"Retired words: {len(find_retired())}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
