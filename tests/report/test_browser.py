"""The report in a real browser: accessible, without requests or errors, sortable and printable."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.report.conftest import page_of
from tests.report.test_extremes import TABLES, corrupt, make_history, render
from tower_etl.report.render import write_report
from tower_etl.warehouse.filters import RunFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.sql.small import SmallHistory

pytestmark = pytest.mark.slow

WIDTHS = {"wide": 1280, "phone": 375}


@pytest.fixture(scope="module")
def report(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of a seeded history, with links."""
    output = tmp_path_factory.mktemp("report") / "report.html"
    written = write_report(
        seeded, output, datetime.now(UTC), scope=RunFilter(), web="https://tower.example.org"
    )
    assert written.size_bytes < 3_000_000
    return output


@pytest.fixture
def page_messages() -> list[str]:
    """Return a list for console messages, page errors and requested addresses."""
    return []


@pytest.fixture
def open_page(
    browser: Browser, report: Path, page_messages: list[str]
) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the report or another file in a new context.

    The function collects messages, errors and requests in `page_messages`.
    """
    contexts: list[BrowserContext] = []

    def open_it(path: Path = report, width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: page_messages.append(message.text))
        page.on("pageerror", lambda error: page_messages.append(str(error)))
        page.on("request", lambda request: page_messages.append(request.url))
        page.goto(path.as_uri())
        page_messages.remove(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_the_page_is_accessible_fits_the_window_and_logs_nothing(
    open_page: Callable[..., Page], page_messages: list[str], width: int, scheme: str
) -> None:
    """Axe finds no violation, and the page makes no request and logs no message or error."""
    page = open_page(width=width, color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page_messages == []


WIDER = """regions => regions.filter(box => box.scrollWidth > box.clientWidth + 1)
  .map(box => box.getAttribute("aria-label"))"""


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_table_needs_horizontal_scrolling(open_page: Callable[..., Page], width: int) -> None:
    """Tables in collapsed sections are opened first."""
    page = open_page(width=width)
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    assert page.locator("[role=region]").evaluate_all(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_page_without_runs_is_accessible_and_logs_nothing(
    open_page: Callable[..., Page], page_messages: list[str], small: SmallHistory, tmp_path: Path
) -> None:
    path = tmp_path / "empty.html"
    path.write_text(page_of(small), encoding="utf-8")
    page = open_page(path)
    assert Axe().run(page).response["violations"] == []
    assert page.get_by_role("heading", name="No runs to show").is_visible()
    assert page_messages == []


def test_a_filtered_table_is_saved_as_csv_with_the_visible_rows(
    open_page: Callable[..., Page], page_messages: list[str]
) -> None:
    page = open_page(accept_downloads=True)
    tools = page.locator(".tools:has(input)").first
    table = tools.locator("xpath=following-sibling::*[1]").locator("table")
    rows = table.locator("tbody tr")
    name = rows.nth(1).locator("th, td").first.inner_text().split("\n")[0].strip()
    tools.locator("input").fill(name)
    shown = table.locator("tbody tr:visible")
    assert 0 < shown.count() <= rows.count()
    assert all(name.lower() in text.lower() for text in shown.all_inner_texts())
    with page.expect_download() as saved:
        tools.locator("button").click()
    text = saved.value.path().read_text(encoding="utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))
    assert len(lines) == 1 + shown.count()
    assert {len(line) for line in lines} == {table.locator("thead th").count()}
    assert saved.value.suggested_filename.endswith(".csv")
    assert [noise for noise in page_messages if not noise.startswith("blob:")] == []


def test_a_click_on_a_column_sorts_the_table_by_number(open_page: Callable[..., Page]) -> None:
    """A second click reverses the order."""
    page = open_page()
    table = page.get_by_role("region", name="Pipeline: cost and runs").locator("table")
    button = table.get_by_role("button", name="CPU hours")
    index = button.evaluate("button => button.closest('th').cellIndex")
    hours = f"rows => rows.map(row => Number(row.cells[{index}].dataset.value))"
    button.click()
    falling = table.locator("tbody tr").evaluate_all(hours)
    assert falling == sorted(falling, reverse=True)
    button.click()
    assert table.locator("tbody tr").evaluate_all(hours) == falling[::-1]
    assert table.locator("th[aria-sort=ascending]").count() == 1
    assert len(falling) > 2


def test_hovering_a_chart_column_shows_a_tooltip(open_page: Callable[..., Page]) -> None:
    """The tooltip disappears when the pointer leaves the column."""
    page = open_page()
    shown = page.locator("#tip")
    assert shown.is_hidden()
    page.locator(".column").first.hover()
    assert shown.is_visible()
    assert "$" in shown.inner_text()
    page.mouse.move(0, 0)
    assert shown.is_hidden()


def test_the_page_has_the_same_text_without_javascript(open_page: Callable[..., Page]) -> None:
    """Only the buttons that copy, export and filter are missing."""
    page = open_page()
    tools = "main .tools, main .snippet button"
    page.evaluate(f"document.querySelectorAll('{tools}').forEach(element => element.remove())")
    with_script = page.locator("main").inner_text()
    without = open_page(java_script_enabled=False).locator("main").inner_text()
    assert len(without) > 5000
    assert without.split() == with_script.split()


def test_the_page_prints_on_white_without_navigation(open_page: Callable[..., Page]) -> None:
    page = open_page(color_scheme="dark")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"


def test_charts_have_bars_of_visible_height(open_page: Callable[..., Page]) -> None:
    page = open_page()
    boxes = page.locator(".block").evaluate_all("all => all.map(b => b.getBBox().height)")
    assert len(boxes) > 20
    assert max(boxes) > 100
    assert len(page.screenshot()) > 10_000


def test_markup_in_names_is_shown_as_text_and_runs_no_script(
    open_page: Callable[..., Page], page_messages: list[str], small: SmallHistory, tmp_path: Path
) -> None:
    name = "</script><script>document.title='caught'</script><img src=x onerror=alert(1)>"
    small.add_run("a", projectName=name, userName=name, runName=name)
    small.add_task("a", process=name)
    path = tmp_path / "hostile.html"
    path.write_text(page_of(small), encoding="utf-8")
    page = open_page(path)
    assert page.title().startswith("Runs, cost and waste")
    assert page.locator("img").count() == 0
    assert page.get_by_text("onerror=alert(1)").count() > 0
    assert page_messages == []


def test_a_page_with_odd_values_fits_the_window_and_logs_no_error(
    open_page: Callable[..., Page], page_messages: list[str], tmp_path: Path
) -> None:
    """The values are times of other centuries, infinite costs and very long names."""
    path = tmp_path / "odd.html"
    with make_history().open(stored=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            connection.execute(corrupt(connection, table, share=4, seed=11))
        path.write_text(render(connection), encoding="utf-8")
    page = open_page(path)
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    assert Axe().run(page).response["violations"] == []
    assert page_messages == []


def test_the_content_security_policy_blocks_an_injected_script(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    """The policy is the second line of defence, in case escaping fails."""
    path = tmp_path / "broken.html"
    source = open_page().content()
    path.write_text(source.replace("<main", "<script>document.title='caught'</script><main", 1))
    assert open_page(path).title() != "caught"
