"""Text of the report: figures of the marts, histories without runs or costs, escaped names."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from tests.report.conftest import MADE_AT, PLATFORM, facts_of, page_of
from tests.sql.small import GIB, SmallHistory
from tower_etl.report.actions import list_actions
from tower_etl.report.formats import NARROW, CostMetric
from tower_etl.report.insights import list_insights
from tower_etl.report.ledger import split_cost
from tower_etl.report.render import render_page
from tower_etl.warehouse.filters import RunFilter

if TYPE_CHECKING:
    from tower_etl.report.data import ReportData

HOSTILE = (
    "</title></style></script><script>alert(1)</script><img src=x onerror=alert(2)>'\"`{{7*7}}"
)


class Reader(HTMLParser):
    """Parser that collects the elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._pieces: list[str] = []
        self._inside = ""
        self.feed(page)
        self.text = " ".join(" ".join(self._pieces).replace(NARROW, " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        """Record visible text."""
        if self._inside not in {"style", "script"}:
            self._pieces.append(data)


def read(history: SmallHistory) -> str:
    """Return the text of the page of a history."""
    return Reader(page_of(history)).text


def test_the_page_shows_the_figures_of_the_marts(small: SmallHistory) -> None:
    """Two runs cost 1.25 and 4 USD, and one of them failed."""
    small.add_run("a", projectName="acme/align", userName="ada")
    small.add_task("a", cost=1.25)
    small.add_run("b", projectName="acme/call", userName="bob", status="FAILED")
    small.add_task("b", cost=4.0, status="FAILED", exit="137")
    text = read(small)
    assert "Cost $5.25" in text
    assert "acme/call takes 76 % of the cost" in text
    assert "Succeeded 50 %" in text
    assert "1 run failed, of 2 that ended" in text
    assert "killed: out of memory, or its node was taken away" in text
    assert "Resume failed runs 1 run failed" in text
    assert "Lost failed and cancelled work that no later run took from the cache" in text


def test_cached_tasks_are_shown_as_savings_and_not_as_costs(small: SmallHistory) -> None:
    small.add_run("a", resume=True)
    small.add_task("a", cost=2.0)
    small.add_task("a", cost=3.0, status="CACHED")
    text = read(small)
    assert "Cost $2.00" in text
    assert "Saved by resume $3.00 1 task taken from the cache" in text


def test_a_page_without_costs_compares_cpu_hours(small: SmallHistory) -> None:
    """Tasks on a cluster have no cost: the page does not show 0 USD."""
    small.add_run("a")
    small.add_task("a", cost=None, cpus=8)
    page = page_of(small)
    text = Reader(page).text
    assert "CPU hours 8 h" in text
    assert "The platform reports no cost for these runs" in text
    assert "$" not in text


def test_the_page_notes_the_number_of_ended_runs_without_a_cost(small: SmallHistory) -> None:
    """Open runs are not counted."""
    small.add_run("a")
    small.add_task("a")
    small.add_run("b")
    small.add_task("b", cost=None)
    small.add_run("open", status="RUNNING", complete=None)
    small.add_task("open", cost=None, status="RUNNING")
    assert "The platform reports no cost for 1 run" in read(small)


def test_a_page_without_runs_has_no_charts(small: SmallHistory) -> None:
    page = page_of(small)
    assert "No runs to show" in page
    assert "<figure" not in page
    assert "No sync is recorded" in page


def test_a_filter_without_runs_is_shown_on_the_page(small: SmallHistory) -> None:
    """The message differs from that of an empty history, because another action is needed."""
    scope = RunFilter(since=MADE_AT, workspaces=("acme/lab",))
    page = render_page(facts_of(small), PLATFORM, MADE_AT, scope)
    assert "No stored run matches the filter" in page
    assert "in acme/lab (filter: from 8 Mar 2026, 09:30)" in " ".join(page.split())


def test_a_run_without_tasks_and_times_has_a_page(small: SmallHistory) -> None:
    """A run has neither just after its submission."""
    bare = dict.fromkeys(("submit", "start", "complete", "duration", "userName", "runName"))
    small.add_run("a", status="SUBMITTED", **bare)
    text = read(small)
    assert "1 run" in text
    assert "No run was submitted in this time" in text


def test_markup_in_names_and_messages_is_escaped(small: SmallHistory) -> None:
    """The names are of pipelines, users, workspaces, runs, processes, labels and others."""
    small.add_run(
        HOSTILE,
        **dict.fromkeys(("projectName", "userName", "runName", "revision"), HOSTILE),
        **dict.fromkeys(("orgName", "workspaceName", "errorMessage"), HOSTILE),
        status="FAILED",
    )
    task = {"process": HOSTILE, "name": HOSTILE, "memory": 64 * GIB, "cpus": 8}
    small.add_task(HOSTILE, **task)
    small.add_task(HOSTILE, **task, status="FAILED", exit=HOSTILE, errorMessage=HOSTILE)
    small.name_label(1, HOSTILE, HOSTILE)
    small.add_label(HOSTILE, 1)
    small.add_sync(status=HOSTILE, endpoint=HOSTILE)
    page = page_of(small)
    plain = Reader(page_of(make_plain()))
    hostile = Reader(page)
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in plain.tags}
    assert "alert(1)" in hostile.text
    assert page.count("<script") == 1
    assert not [attrs for _, attrs in hostile.tags if any(name.startswith("on") for name in attrs)]
    assert "49" not in re.findall(r"\{\{.*?\}\}|49", hostile.text)


def make_plain() -> SmallHistory:
    """Return a history with harmless names and all elements of the hostile history."""
    history = SmallHistory()
    history.add_run("a", status="FAILED", errorMessage="it failed", runName="x")
    history.add_task("a", memory=64 * GIB, cpus=8)
    history.add_task("a", memory=64 * GIB, status="FAILED", errorMessage="it failed")
    history.name_label(1, "team", "one")
    history.add_label("a", 1)
    history.add_sync()
    return history


def test_the_page_links_runs_to_the_platform(small: SmallHistory) -> None:
    small.add_run("4aXy", runName="big_allen")
    small.add_task("4aXy")
    hrefs = {attrs.get("href") for tag, attrs in Reader(page_of(small)).tags if tag == "a"}
    assert "https://tower.example.org/orgs/acme/workspaces/lab/watch/4aXy" in hrefs


def test_rendering_twice_gives_identical_pages(small: SmallHistory) -> None:
    for number in range(12):
        small.add_run(f"run{number}", projectName=f"acme/p{number % 3}")
        small.add_task(f"run{number}", cost=1.0, memory=64 * GIB)
    assert page_of(small) == page_of(small)


def find_leads(facts: ReportData) -> list[str]:
    """Return the first sentences of the insights, in the order of the page."""
    measure = CostMetric.choose(facts)
    insights = list_insights(facts, split_cost(facts.totals, measure), list_actions(facts), measure)
    return [insight.lead for insight in insights]


def test_insights_start_with_the_waste_and_the_first_action(small: SmallHistory) -> None:
    """1 of 8 CPUs is used. The memory is billed as 2 vCPUs anyway, so 6 of 8 USD are saved."""
    small.add_run("a")
    small.add_task("a", cost=8.0, cpus=8, pcpu=100.0)
    facts = facts_of(small)
    (action,) = list_actions(facts)
    assert (action.title, action.at_least, action.at_most) == ("Request fewer CPUs", 6.0, 6.0)
    assert find_leads(facts)[:2] == [
        "At least 62 % of the cost was no useful work".replace(" %", f"{NARROW}%"),
        "First, request fewer CPUs",
    ]


def test_a_page_without_waste_says_so_and_lists_no_actions(small: SmallHistory) -> None:
    small.add_run("a")
    small.add_task("a", cpus=2, pcpu=200.0, memory=2 * GIB)
    assert list_actions(facts_of(small)) == []
    assert "No waste was found" in read(small)


def test_the_pipeline_with_the_lowest_success_rate_is_a_finding(small: SmallHistory) -> None:
    """A pipeline with only a few runs is not considered."""
    for number in range(5):
        small.add_run(f"a{number}", projectName="acme/weak", status="FAILED")
        small.add_run(f"b{number}", projectName="acme/strong")
    small.add_run("c", projectName="acme/rare", status="FAILED")
    assert find_leads(facts_of(small)) == ["acme/weak succeeds least often"]
