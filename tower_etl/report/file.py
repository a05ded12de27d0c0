"""The file of a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.errors import UsageError
from tower_etl.load.reader import open_reader
from tower_etl.load.scope import narrow
from tower_etl.report.links import Platform
from tower_etl.report.page import Cover, render_page
from tower_etl.report.reading import read_facts

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.load.scope import Scope


@dataclass(frozen=True)
class Written:
    """A page that was written.

    Attributes:
        path: Its file.
        runs: How many runs it is about.
        size_bytes: Of the file.
    """

    path: Path
    runs: int
    size_bytes: int


def write_report(
    path: str | Path, output: str | Path, made_at: datetime, *, scope: Scope, web: str | None = None
) -> Written:
    """Write the report on a synced DuckDB file.

    Args:
        path: The DuckDB file.
        output: The HTML file; one that exists is replaced, at once and whole.
        made_at: Now (UTC).
        scope: Which runs it is about.
        web: Address of the platform's pages; None derives it from the endpoint of the last sync.

    Raises:
        UsageError: There is no such file, it holds no tables, no run is of the scope, or the
            output cannot be written.
    """
    given = Platform.at(web) if web else None
    with open_reader(path) as connection:
        narrow(connection, scope)
        facts = read_facts(connection)
    endpoint = facts.syncs[0].endpoint if facts.syncs else None
    cover = Cover(made_at, scope.since, scope.until, scope.workspaces)
    page = render_page(facts, given or Platform.of_endpoint(endpoint), cover)
    return Written(_write(Path(output).expanduser(), page), facts.totals.runs, len(page.encode()))


def _write(output: Path, page: str) -> Path:
    draft = output.resolve().with_name(f".{output.name}.draft")
    try:
        draft.write_text(page, encoding="utf-8")
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        msg = f"{output} cannot be written ({error.strerror}): give another --output."
        raise UsageError(msg) from None
    return output
