"""Comparison of two groups of runs: real differences are found, random ones are not."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.sql.small import HOUR_MS, SmallHistory
from tower_etl.errors import ConfigurationError
from tower_etl.report.comparison import compare_groups
from tower_etl.report.comparison_data import GROUP_VIEWS, read_groups
from tower_etl.report.render import render_comparison

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.report.comparison import Comparison, MeasureRatio

PROCESSES = ("TRIM", "ALIGN", "SORT", "COUNT", "CALL")


def add_runs(history: SmallHistory, revision: str, count: int, factor: float = 1.0) -> None:
    """Add runs of five processes and four samples, whose times vary by run and by task."""
    chance = random.Random(f"{revision} {factor}")
    for number in range(count):
        run_id = f"{revision}-{number}"
        submitted = f"2026-{'03' if revision == '1.0' else '04'}-{number + 1:02}T12:00:00Z"
        history.add_run(run_id, revision=revision, submit=submitted)
        of_run = chance.lognormvariate(0, 0.1)
        for index, process in enumerate(PROCESSES):
            for sample in ("s1", "s2", "s3", "s4"):
                hours = (index + 1) * factor * of_run * chance.lognormvariate(0, 0.2)
                times = {"realtime": int(hours * HOUR_MS / 2), "cost": hours * 0.1}
                history.add_task(run_id, process=process, tag=sample, **times)


def compare(history: SmallHistory, group_by: str, *names: str) -> Comparison:
    """Compare two groups of a history."""
    with history.open(*GROUP_VIEWS, stored=True) as connection:
        groups = read_groups(
            lambda sql: connection.execute(sql).fetchall(), group_by, names, ("acme/*",)
        )
    return compare_groups(group_by, *groups)


def measure_of(comparison: Comparison, name: str) -> MeasureRatio:
    """Return the row of one measure."""
    return next(measure for measure in comparison.measures if measure.name == name)


@pytest.mark.slow
def test_a_difference_between_releases_is_found_with_its_size() -> None:
    """The new release takes 1.4 times as long; waits are the same."""
    history = SmallHistory()
    add_runs(history, "1.0", 8)
    add_runs(history, "2.0", 8, factor=1.4)
    found = compare(history, "revision")
    assert (found.first.name, found.second.name, found.matched) == ("1.0", "2.0", 20)
    run, cost = measure_of(found, "run_seconds"), measure_of(found, "platform_usd")
    assert run.ratio == pytest.approx(1.4, rel=0.15)
    assert run.differs
    assert cost.differs
    assert not measure_of(found, "wait_seconds").differs
    assert measure_of(found, "bill_usd").ratio is None
    assert found.headline.startswith("Cost by the platform: a task of 2.0 takes")
    assert compare_groups("revision", found.first, found.second).measures == found.measures


@pytest.mark.parametrize("seed", range(4))
def test_random_halves_of_one_release_do_not_differ(tmp_path: Path, seed: int) -> None:
    """The groups come from a CSV file."""
    history = SmallHistory()
    add_runs(history, "1.0", 16)
    halves = [f"1.0-{number},{'ab'[number % 2]}" for number in range(16)]
    random.Random(seed).shuffle(halves)
    groups = [f"{line.partition(',')[0]},{'ab'[n % 2]}" for n, line in enumerate(halves)]
    path = tmp_path / "halves.csv"
    path.write_text("run_id,group\n" + "\n".join(groups) + "\n")
    found = compare(history, str(path), "a", "b")
    assert [m.name for m in found.measures if m.differs] == []
    assert "no difference between a and b is shown" in found.headline


def test_label_and_fusion_groups_without_shared_tags_match_by_process() -> None:
    """Processes that only one group has are listed as unmatched."""
    history = SmallHistory()
    history.name_label(1, "study", "x")
    history.name_label(2, "study", "y")
    for run_id, label, tag in (("a", 1, "one"), ("b", 2, "two")):
        history.add_run(run_id, fusion={"enabled": run_id == "b"})
        history.add_label(run_id, label)
        history.add_task(run_id, process="ALIGN", tag=tag, cost=1.0)
    history.add_task("b", process="NEW", tag="two", cost=0.5)
    history.add_task("b", process="NEW", tag="two", status="FAILED", cost=0.5)
    found = compare(history, "label:study", "x", "y")
    assert (found.matched, found.by_process) == (1, True)
    assert [(u.group, u.process, u.tasks) for u in found.unmatched] == [("y", "NEW", 1)]
    assert found.second.failed_tasks == 1
    found = compare(history, "fusion")
    assert (found.first.name, found.second.name) == ("off", "on")


def test_the_page_warns_if_the_groups_are_different_pipelines() -> None:
    """Names are escaped, and the page has no web address."""
    history = SmallHistory()
    history.add_run("a", projectName="acme/<b>one</b>", revision="1.0")
    history.add_run("b", projectName="acme/two", revision="2.0", submit="2026-04-01T12:00:00Z")
    for run_id in ("a", "b"):
        history.add_task(run_id)
    found = compare(history, "revision")
    assert found.crosses_pipelines
    from tower_etl.clock import SYSTEM_CLOCK  # noqa: PLC0415 beside its only use

    page = render_comparison(found, SYSTEM_CLOCK.now())
    assert "These are different pipelines" in page
    assert "<b>one" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_invalid_groups_are_refused_with_the_existing_ones(tmp_path: Path) -> None:
    history = SmallHistory()
    add_runs(history, "1.0", 1)
    with pytest.raises(ConfigurationError, match=r"no two groups by revision .*found: 1\.0"):
        compare(history, "revision")
    with pytest.raises(ConfigurationError, match=r"group 9\.9\. There are: 1\.0"):
        compare(history, "revision", "1.0", "9.9")
    with pytest.raises(ConfigurationError, match="expected one of revision, fusion, compute_env"):
        compare(history, "revisions")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigurationError, match="columns run_id and group"):
        compare(history, str(tmp_path / "x.csv"))
