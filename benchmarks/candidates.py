"""Who is measured: a command, and SQL that says where its rows are."""

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
        name: What the tables and the picture call it.
        command: The command; the file is its next argument.
        views: The stem of the file in `views/` that finds its rows.
        more: What follows the file.
        later: What a sync a day later is given beside it.
    """

    name: str
    command: tuple[str, ...]
    views: str
    more: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """Views of its rows in the shape of the truth; a table that it lacks has no view."""
        return (_HERE / "views" / f"{self.views}.sql").read_text(encoding="utf-8")

    def order(self, path: Path, *, later: bool) -> list[str]:
        """The command for a file.

        Args:
            path: The file.
            later: Whether a day has passed since the file was synced.
        """
        return [*self.command, str(path), *self.more, *(self.later if later else ())]


def _make_peer(name: str, script: str, *more: str) -> Candidate:
    return Candidate(name, (sys.executable, str(_PEERS / f"{script}.py")), script, more)


# The world's clock is moved, the machine's is not: `--reconcile` is what a sync does by itself
# once a day.
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
