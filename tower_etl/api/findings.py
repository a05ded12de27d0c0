"""What was odd in the answers of a server though nothing failed: a line for each kind and place."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One kind of contradiction or oddity in one place.

    Attributes:
        place: Where, such as a workspace or a table of it.
        problem: What is odd, with `{}` for the number of things it was found in.
        advice: What was done about it, or is to be done.
    """

    location: str
    problem: str
    advice: str


class Findings:
    """Counts findings, safely from several threads."""

    def __init__(self) -> None:
        self._counts: dict[Finding, int] = {}
        self._examples: dict[Finding, str] = {}
        self._lock = threading.Lock()

    def add(self, finding: Finding, example: str = "", count: int = 1) -> None:
        """Count a finding, in so many things; the first example is kept."""
        with self._lock:
            self._counts[finding] = self._counts.get(finding, 0) + count
            self._examples.setdefault(finding, example)

    def list_messages(self) -> list[str]:
        """Return one message for each kind and place, in the order in which they were found."""
        with self._lock:
            return [
                f"{finding.location}: {finding.problem.format(count)}"
                f"{f', for example {example}' if (example := self._examples[finding]) else ''}. "
                f"{finding.advice}"
                for finding, count in self._counts.items()
            ]
