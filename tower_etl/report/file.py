"""The file of a page."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.load.reader import open_reader
from tower_etl.load.scope import apply_filter
from tower_etl.report.links import WebLinks
from tower_etl.report.page import ReportHeader, render_page
from tower_etl.report.reading import load_report_data

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.load.scope import RunFilter


@dataclass(frozen=True)
class WrittenReport:
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
    path: str | Path,
    output: str | Path,
    made_at: datetime,
    *,
    scope: RunFilter,
    web: str | None = None,
) -> WrittenReport:
    """Write the report on a synced DuckDB file.

    Args:
        path: The DuckDB file.
        output: The HTML file; one that exists is replaced, at once and whole.
        made_at: Now (UTC).
        scope: Which runs it is about.
        web: Address of the platform's pages; None derives it from the endpoint of the last sync.

    Raises:
        UsageError: There is no such file, it holds no tables, or no run is of the scope.
        OSError: The output cannot be written; it is the file that the error names.
    """
    given = WebLinks.at(web) if web else None
    with open_reader(path) as connection:
        apply_filter(connection, scope)
        facts = load_report_data(connection)
    endpoint = facts.syncs[0].endpoint if facts.syncs else None
    cover = ReportHeader(made_at, scope.since, scope.until, scope.workspaces)
    page = render_page(facts, given or WebLinks.of_endpoint(endpoint), cover)
    chosen = Path(os.path.expanduser(output))  # noqa: PTH111 leaves `~nobody` as it is
    return WrittenReport(_write(chosen, page), facts.totals.runs, len(page.encode()))


def _write(output: Path, page: str) -> Path:
    try:
        if output.exists() and not output.is_file():  # a pipe or a device is not replaced
            output.write_text(page, encoding="utf-8")
        else:
            _replace(Path(os.path.realpath(output)), page)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(output)) from None
    return output


def _replace(target: Path, page: str) -> None:
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.write_text(page, encoding="utf-8")
        draft.replace(target)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
