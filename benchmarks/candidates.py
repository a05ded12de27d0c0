"""Candidates of the comparison: a command, and SQL views of the rows that it loads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_PEERS = _HERE / "peers"
_SYNC = (sys.executable, "-m", "tower_etl", "sync", "--path")


@dataclass(frozen=True)
class Candidate:
    """A way to load the run history into a DuckDB file.

    Attributes:
        name: Name in tables and chart.
        command: Command; the path of the file is its next argument.
        views: Stem of the file in `views/` with views of its rows.
        more: Arguments after the path.
        later: Additional arguments of the sync a day later.
    """

    name: str
    command: tuple[str, ...]
    views: str
    more: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """Views with the columns of the expected rows; tables that it lacks have no view."""
        return (_HERE / "views" / f"{self.views}.sql").read_text(encoding="utf-8")

    def order(self, path: Path, *, later: bool) -> list[str]:
        """Return the command for a file.

        Args:
            path: DuckDB file.
            later: Whether this is the sync a day later.
        """
        return [*self.command, str(path), *self.more, *(self.later if later else ())]


def _make_peer(name: str, script: str, *more: str) -> Candidate:
    return Candidate(name, (sys.executable, str(_PEERS / f"{script}.py")), script, more)


# Only the clock of the world moves, not that of the machine: `--reconcile` is what a sync does
# by itself once a day.
OURS = Candidate("tower-etl", _SYNC, "tower_etl", later=("--reconcile",))

CANDIDATES = {
    candidate.name: candidate
    for candidate in (
        OURS,
        _make_peer("declarative", "declarative"),
        _make_peer("declarative tuned", "declarative", "--tuned"),
        _make_peer("plain script", "plain"),
    )
}
