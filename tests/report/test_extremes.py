"""Reports on rows with extreme values: they are rendered, are small, and have correct sums."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.report.conftest import MADE_AT, PLATFORM, page_of
from tests.sql.small import GIB, SmallHistory
from tower_etl.report.queries import load_report_data
from tower_etl.report.render import render_page
from tower_etl.warehouse.filters import RunFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

MOST_BYTES = 500_000

VALUES = {
    "DOUBLE": ["'inf'", "'-inf'", "'nan'", "1e308", "-1e308", "5e-324", "-1", "0", "NULL"],
    "BIGINT": ["9223372036854775807", "-9223372036854775808", "-1", "0", "NULL"],
    "INTEGER": ["2147483647", "-2147483648", "0", "NULL"],
    "BOOLEAN": ["TRUE", "FALSE", "NULL"],
    "VARCHAR": ["''", "' '", "chr(0)", "'<script>x</script>'", "repeat('<x', 100000)", "NULL"],
    "TIMESTAMP WITH TIME ZONE": [
        *("'infinity'", "'-infinity'", "'9999-12-31 23:59:59.999999+00'", "'0001-01-01 00:00+00'"),
        *("'290000-01-01'", "'0044-03-15 (BC)'", "'1970-01-01'", "NULL"),
    ],
}
TABLES = ("workflows", "tasks", "sync_runs", "labels", "workflow_labels", "workspaces")


def make_history() -> SmallHistory:
    """Return a history with content for every part of the page."""
    history = SmallHistory()
    for number in range(20):
        run_id, status = f"run{number}", "FAILED" if number % 4 == 0 else "SUCCEEDED"
        submitted = f"2026-02-{number + 1:02}T12:00:00Z"
        history.add_run(run_id, status=status, submit=submitted, errorMessage="it failed")
        slow = 100 if number == 19 else 1
        for cpus in (2, 8):
            history.add_task(run_id, cpus=cpus, memory=64 * GIB, realtime=slow * 3_600_000)
        history.add_task(run_id, status="FAILED", exit="137", errorAction="RETRY")
        history.add_task(run_id, status="CACHED")
        history.add_task(run_id, priceModel="spot", status="FAILED", exit="143", attempt=2)
        history.add_label(run_id, number % 3)
    history.name_label(1, "team", "one")
    history.add_sync()
    return history


@pytest.fixture(scope="module")
def connection() -> Iterator[DuckDBPyConnection]:
    """Open the history; tests change it within a transaction."""
    with make_history().open() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def render(connection: DuckDBPyConnection) -> str:
    """Render the page of the rows of a connection."""
    return render_page(load_report_data(connection, MADE_AT), PLATFORM, MADE_AT, RunFilter())


def change(connection: DuckDBPyConnection, *statements: str) -> str:
    """Render the page after some statements, and roll them back."""
    connection.execute("BEGIN")
    try:
        for statement in statements:
            connection.execute(statement)
        return render(connection)
    finally:
        connection.execute("ROLLBACK")


def expect_sound(page: str) -> None:
    """Assert that the page is small and complete and has no invalid or endless figures."""
    assert len(page.encode()) < MOST_BYTES
    assert page.rstrip().endswith("</html>")
    assert re.findall(r"(?<![\w-])(?:-?inf|nan)(?![\w-])", page) == []
    assert re.findall(r'(?:width|height|x|y)="-[^"]*"', page) == []
    assert re.findall(r"[0-9,]{25,}", page) == []


def corrupt(connection: DuckDBPyConnection, table: str, share: int, seed: int) -> str:
    """Return an update that replaces 1 in `share` values of each column by odd values."""
    columns = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", [table]
    ).fetchall()
    changes = []
    for name, kind in columns:
        values = VALUES.get(kind, ["NULL"])
        pick = f"hash(rowid, '{name}', {seed})"
        cases = " ".join(f"WHEN {n} THEN CAST({value} AS {kind})" for n, value in enumerate(values))
        odd = f"CASE {pick} // 64 % {len(values)} {cases} END"
        changes.append(f'"{name}" = CASE WHEN {pick} % {share} = 0 THEN {odd} ELSE "{name}" END')
    return f"UPDATE {table} SET {', '.join(changes)}"  # noqa: S608 trusted names


@pytest.mark.slow
@pytest.mark.parametrize(("share", "seed"), [(1, 1), (2, 2), (4, 3), *((16, n) for n in range(9))])
def test_a_page_with_odd_values_in_any_column_is_valid(
    connection: DuckDBPyConnection, share: int, seed: int
) -> None:
    """Either all values are odd, or a share of them that a seed selects."""
    statements = [corrupt(connection, table, share, seed) for table in TABLES]
    expect_sound(change(connection, *statements))


FAR = {
    "1 run was": ["UPDATE workflows SET submit = '0001-01-01' WHERE id = 'run3'"],
    "2 runs were": [
        "UPDATE workflows SET submit = '9999-12-31 23:59+00' WHERE id = 'run3'",
        "UPDATE workflows SET submit = '0044-03-15 (BC)' WHERE id = 'run4'",
    ],
    "5 runs were": [
        "UPDATE workflows SET submit = '290000-01-01' WHERE id < 'run12'",
        "UPDATE workflows SET submit = 'infinity' WHERE id IN ('run12')",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("said", FAR)
def test_runs_of_distant_times_are_left_out_of_the_charts_with_a_note(
    connection: DuckDBPyConnection, said: str
) -> None:
    """Each of the two charts has the note; the other runs are shown by day."""
    page = change(connection, *FAR[said])
    expect_sound(page)
    assert page.count(f"{said} submitted decades before or after these") == 2
    assert "Cost by day" in page
    assert page.count('class="hit"') <= 2 * 20


@pytest.mark.slow
@pytest.mark.parametrize("year", [1, 9999])
def test_a_history_with_only_one_distant_year_is_shown(
    connection: DuckDBPyConnection, year: int
) -> None:
    page = change(connection, f"UPDATE workflows SET submit = '{year:04}-12-31 12:00+00'")  # noqa: S608 a number
    expect_sound(page)
    assert "decades before or after" not in page
    assert page.count('class="hit"') == 2


@pytest.mark.slow
def test_a_history_of_two_thousand_years_gives_a_small_page(connection: DuckDBPyConnection) -> None:
    """There is one run per century."""
    page = change(
        connection,
        "UPDATE workflows SET submit = make_timestamptz(100 + 100 * rowid, 1, 1, 0, 0, 0.0)",
    )
    expect_sound(page)
    assert page.count('class="hit"') <= 2 * 60


@pytest.mark.slow
def test_charts_of_seven_years_are_by_month_and_of_fifty_by_year(
    connection: DuckDBPyConnection,
) -> None:
    for years, step in ((7, "month"), (50, "year")):
        page = change(
            connection,
            f"UPDATE workflows SET submit = submit - INTERVAL {years} YEAR WHERE id = 'run0'",  # noqa: S608 a number
        )
        assert f"Cost by {step}" in page
        assert f"by the {step} in which a run was submitted" in page
        expect_sound(page)


@pytest.mark.slow
@pytest.mark.parametrize("cost", ["'inf'", "'-inf'", "'nan'", "1e308"])
def test_an_infinite_cost_is_left_out_of_the_sums_with_a_note(
    connection: DuckDBPyConnection, cost: str
) -> None:
    """All other runs cost 4 USD each."""
    page = change(connection, f"UPDATE tasks SET cost = {cost} WHERE workflow_id = 'run3'")  # noqa: S608 trusted names
    expect_sound(page)
    assert "$76" in re.sub(r"\s+", " ", page)
    assert "1 run has a cost or CPU hours that are infinite, or not a number" in page


@pytest.mark.slow
def test_a_history_without_odd_values_has_no_notes(connection: DuckDBPyConnection) -> None:
    page = render(connection)
    expect_sound(page)
    assert "omitted from the charts" not in page
    assert "sums omit them" not in page
    assert "$80" in page


def test_empty_names_are_shown_as_empty(small: SmallHistory) -> None:
    """A row without a name would look like an error of the page."""
    small.add_run("a", projectName="", userName="", runName="", status="FAILED", errorMessage="")
    small.add_task("a", process="")
    assert page_of(small).count("(empty)") >= 3


def test_long_names_are_cut(small: SmallHistory) -> None:
    """The name of a pipeline is in the legend, in tables and in the tooltip of every column."""
    for number in range(6):
        name = f"{number}" + "x" * 100_000
        small.add_run(name, projectName=name, userName=name, runName=name, workspaceName=name)
        small.add_task(name, process=name, memory=64 * GIB, cpus=8)
    page = page_of(small)
    expect_sound(page)
    assert "\u2026" in page
