"""Find retired words: `python -m tests.prose.words` fails if there is one (`make check`).

docs/glossary.md has their replacements. Names of files and in code are split at underscores and
capitals; prose is docstrings, comments, messages, SQL comments and pages.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

# Retired word of a name -> the term of docs/glossary.md.
NAMES = {
    "blot": "mask",
    "censor": "redactor",
    "diary": "sync run record",
    "errand": "fetch",
    "errands": "fetches",
    "furniture": "reference data",
    "harvest": "entity snapshot",
    "haul": "partition result",
    "hauls": "partition results",
    "inquiry": "access check",
    "landed": "loaded",
    "misfits": "invalid values",
    "novelty": "schema drift",
    "owed": "pending",
    "parcel": "fetched run",
    "parcels": "fetched runs",
    "preflight": "discovery",
    "strays": "extra fields",
    "upkeep": "scd2",
    "visit": "fetch",
    "visits": "fetches",
}
# Retired words and phrases of prose -> what to write.
PROSE = {
    "anew": "again",
    "at one stroke": "atomically",
    "dearest": "most expensive",
    "diary": "sync run record",
    "errand": "fetch",
    "errands": "fetches",
    "furniture": "reference data",
    "goes on with": "resumes",
    "gone on with": "resumed",
    "harvest": "entity snapshot",
    "haul": "partition result",
    "hauls": "partition results",
    "heed": "honour",
    "heeds": "honours",
    "in vain": "without result",
    "of ours": "(name it)",
    "parcel": "fetched run",
    "parcels": "fetched runs",
    "passed over": "skipped",
    "slow entities": "reference data",
    "slow entity": "reference entity",
    "spoilt": "corrupted",
    "told once": "reported once",
}
# Files that contain the words on purpose, and recorded data.
_EXEMPT = ("tests/prose/", "docs/glossary.md", "docs/decisions/0012", "cassettes/", "CHANGELOG.md")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PHRASES = re.compile(r"\b(" + "|".join(map(re.escape, PROSE)) + r")\b", re.IGNORECASE)


@dataclass(frozen=True)
class Retired:
    """One occurrence of a retired word.

    Attributes:
        path: The file, relative to the project.
        line: The line number, from 1; 0 for the name of the file.
        word: The word as it is written in the file.
        better: The words to write instead.
    """

    path: str
    line: int
    word: str
    better: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r} is retired: write {self.better!r}"


def find_retired() -> list[Retired]:
    """Return every retired word in the files that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.sql", "*.yml", "*.html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [path for path in listed.stdout.splitlines() if not path.startswith(_EXEMPT)]
    return [found for path in paths if (ROOT / path).exists() for found in check_file(path)]


def check_file(path: str) -> Iterator[Retired]:
    """Yield the retired words of a file and of its path; names in code only if it is Python."""
    yield from check_path(path)
    text = (ROOT / path).read_text(encoding="utf-8")
    yield from check_prose(path, text)
    if path.endswith(".py"):
        yield from check_names(path, text)


def check_prose(path: str, text: str) -> Iterator[Retired]:
    """Yield the retired phrases of a text."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in _PHRASES.finditer(line):
            yield Retired(path, number, match[0], PROSE[match[0].lower()])


def check_path(path: str) -> Iterator[Retired]:
    """Yield the retired words in the names of a file and its folders."""
    for part in _PARTS.findall(path):
        if part.lower() in NAMES:
            yield Retired(path, 0, part, NAMES[part.lower()])


def check_names(path: str, text: str) -> Iterator[Retired]:
    """Yield the retired words in names of Python code."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            for part in _PARTS.findall(token.string):
                if part.lower() in NAMES:
                    yield Retired(path, token.start[0], token.string, NAMES[part.lower()])


def main() -> int:
    """Print each retired word; return 1 if there is one, else 0."""
    found = find_retired()
    for retired in found:
        sys.stdout.write(f"{retired}\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
