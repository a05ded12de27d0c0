"""Marts of bills, label keys, samples, price lists and energy; expected values computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.sql.small import GIB, HOUR_MS
from tests.sql.test_spend import pick
from tower_etl.errors import ConfigurationError
from tower_etl.views.definitions import iter_views
from tower_etl.views.prices import read_price_list
from tower_etl.warehouse.filters import RunFilter, apply_filter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sql.small import SmallHistory

HASH = "3f" + "0123456789" * 3
WORK = f"s3://bucket/work/{HASH[:2]}/{HASH[2:]}"


def broken_checks(small: SmallHistory) -> list[str]:
    """Return the names of the checks that return a row."""
    with small.open(stored=True) as connection:
        return [v.name for v in iter_views("checks") if connection.execute(v.sql).fetchall()]


@pytest.mark.parametrize("spelling", [HASH, HASH[:8]])
def test_a_bill_line_is_attributed_to_the_task_of_its_hash(
    small: SmallHistory, spelling: str
) -> None:
    """The hash is whole or shortened. The run id is in lower case, as in labels of Google Cloud."""
    small.add_run("aBc")
    small.add_task("aBc", workdir=WORK, cost=2.0)
    small.add_task("aBc", workdir="s3://bucket/work/00/" + "1" * 30, process="SORT", cost=1.0)
    small.add_bill_line(run_id="abc", task_hash=spelling, used_cost=3.0, unused_cost=1.5)
    columns = ("run_id", "platform_usd", "bill_usd", "ratio", "coverage", "method")
    assert pick(small.ask("bill_by_run"), *columns) == [("aBc", 3.0, 4.5, 1.5, 50.0, "tag")]
    names = ("process", "tasks", "platform_usd", "bill_usd")
    assert pick(small.ask("bill_by_process"), *names) == [
        ("ALIGN", 1, 2.0, 4.5),
        ("SORT", 1, 1.0, None),
    ]
    assert broken_checks(small) == []


@pytest.mark.slow
def test_billed_costs_replace_estimates_of_runs_with_bill_lines(small: SmallHistory) -> None:
    """A line that names only a run is shared among its tasks.

    Runs without lines keep the estimate.
    """
    small.add_run("a")
    small.add_task("a", workdir=WORK, cost=2.0)
    small.add_task("a", workdir="s3://bucket/work/00/" + "1" * 30, process="SORT", cost=1.0)
    small.add_task("a", process="INDEX", status="CACHED", cost=9.0)
    small.add_bill_line(run_id="a", task_hash=HASH, used_cost=3.0, unused_cost=1.5)
    small.add_bill_line(run_id="a", used_cost=0.6)
    small.add_run("b")
    small.add_task("b", cost=7.0)
    with small.open("stg_syncs") as connection:
        apply_filter(connection, RunFilter(billed=True))
        tasks = connection.execute(
            "SELECT run_id, process, round(cost_usd, 6), cost_source FROM stg_tasks ORDER BY ALL"
        ).fetchall()
        runs = connection.execute(
            "SELECT run_id, cost_usd, cost_source FROM run_costs ORDER BY ALL"
        ).fetchall()
    assert tasks == [
        ("a", "ALIGN", 4.9, "bill"),
        ("a", "INDEX", None, "bill"),
        ("a", "SORT", 0.2, "bill"),
        ("b", "ALIGN", 7.0, "platform"),
    ]
    assert runs == [("a", 5.1, "bill"), ("b", 7.0, "platform")]


def test_a_machine_line_covered_by_split_lines_is_not_counted_twice(
    small: SmallHistory,
) -> None:
    """Lines of the machine in another hour, and its other charges such as traffic, still count."""
    small.add_run("a")
    small.add_bill_line(run_id="a", is_split=True, parent_id="i-1", used_cost=2.0, unused_cost=1.0)
    machine = {"resource_id": "i-1", "resource_type": "Compute Instance"}
    small.add_bill_line(**machine, used_cost=3.0)
    small.add_bill_line(**machine, used_cost=4.0, usage_start=datetime(2026, 3, 1, 13, tzinfo=UTC))
    small.add_bill_line(resource_id="i-1", resource_type="Data Transfer", used_cost=0.5)
    rows = small.ask("bill_unattributed")
    assert pick(rows, "reason", "lines", "cost") == [("no run tag", 2, 4.5)]
    assert pick(small.ask("bill_by_run"), "bill_usd", "coverage") == [(3.0, None)]
    assert broken_checks(small) == []


def test_compute_environment_lines_are_allocated_by_machine_share_and_time(
    small: SmallHistory,
) -> None:
    """Each task gets half: 2 vCPUs for 40 minutes, and 4 vCPUs (by its memory) for 20 minutes."""
    small.add_run("a")
    small.add_run("b", userName="bob")
    small.add_task("a", machineType=None)
    times = {"start": "2026-03-01T12:00:00Z", "complete": "2026-03-01T12:20:00Z"}
    small.add_task("b", cpus=1, memory=16 * GIB, **times)
    small.add_task("b", status="CACHED", **times)
    small.add_bill_line(compute_env="WORK", used_cost=9.0, unused_cost=1.0)
    small.add_bill_line(compute_env="elsewhere", used_cost=7.0)
    columns = ("user_name", "used_usd", "unused_usd", "bill_usd")
    assert pick(small.ask("bill_by_user"), *columns) == [("ada", 4.5, 0.5, 5), ("bob", 4.5, 0.5, 5)]
    assert {row["method"] for row in small.ask("bill_by_run")} == {"allocated"}
    rows = small.ask("bill_unattributed")
    assert pick(rows, "reason", "cost") == [("no task at that time", 7.0)]
    assert broken_checks(small) == []


def test_bill_lines_in_other_currencies_stay_unattributed(small: SmallHistory) -> None:
    small.add_run("a")
    small.add_bill_line(run_id="a", used_cost=5.0, currency="EUR")
    assert pick(small.ask("bill_by_run"), "bill_usd") == [(None,)]
    rows = small.ask("bill_unattributed")
    assert pick(rows, "reason", "currency", "cost") == [("other currency", "EUR", 5.0)]
    assert broken_checks(small) == []


def test_cost_by_label_key_groups_runs_by_the_value_of_each_key(small: SmallHistory) -> None:
    """Runs without the key have the value `(none)`. A run with two keys counts in full for each."""
    for number, (name, value) in enumerate(
        [("project", "x"), ("project", "y"), ("centre", "7"), ("plain", None)]
    ):
        small.name_label(number, name, value)
    for run_id, labels in (("a", [0, 2, 3]), ("b", [1]), ("c", [])):
        small.add_run(run_id)
        small.add_task(run_id, cost={"a": 3.0, "b": 2.0, "c": 1.0}[run_id])
        for label in labels:
            small.add_label(run_id, label)
    assert pick(small.ask("cost_by_label_key"), "key", "value", "runs", "cost_usd") == [
        ("centre", "(none)", 2, 3.0),
        ("centre", "7", 1, 3.0),
        ("project", "x", 1, 3.0),
        ("project", "y", 1, 2.0),
        ("project", "(none)", 1, 1.0),
    ]
    assert broken_checks(small) == []


def test_shared_tasks_are_divided_among_samples_by_their_direct_cost(small: SmallHistory) -> None:
    """The samples cost 3 and 1 directly; an index and a report cost 2, which makes 4.5 and 1.5."""
    small.add_run("a")
    for process in ("TRIM", "ALIGN", "SORT", "COUNT"):
        small.add_task("a", process=process, tag="s1", cost=0.75)
        small.add_task("a", process=process, tag="s2", cost=0.25)
    small.add_task("a", process="INDEX", tag="genome.fa", cost=1.5)
    small.add_task("a", process="REPORT", tag=None, cost=0.5)
    small.add_task("a", process="ALIGN", tag="s3", status="CACHED", cost=9.0)
    small.add_run("b")
    small.add_task("b", tag=None, cost=1.0)
    columns = ("run_id", "sample", "tasks", "direct_usd", "cost_usd")
    assert pick(small.ask("cost_by_sample"), *columns) == [
        ("a", "s1", 4, 3.0, 4.5),
        ("a", "s2", 4, 1.0, 1.5),
        ("b", "(whole run)", 0, 0.0, 1.0),
    ]
    assert broken_checks(small) == []


PRICES = """\
# of our cluster
executor,queue,workspace,valid_from,cpu_hour,gib_hour,gpu_hour,currency,clock,combine
slurm,gpu*,,,0.1,,2,EUR,run,sum
slurm,*,acme/*,2026-01-01,0.04,0.01,,EUR,run,sum
slurm,*,acme/*,2026-03-01,0.05,0.02,,EUR,ran,max
"""


def test_the_first_matching_price_list_row_prices_a_task(
    small: SmallHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows match by queue, and rows with the same names apply by date.

    The price of an hour is that of CPUs or memory, whichever is larger, or their sum.
    """
    use_prices(tmp_path, monkeypatch, PRICES)
    small.add_run("a")
    plain = {"executor": "slurm", "cost": None, "machineType": None}
    late = {"start": "2026-03-01T12:20:00Z", "complete": "2026-03-01T14:20:00Z"}
    early = {"start": "2026-02-01T12:20:00Z", "complete": "2026-02-01T14:20:00Z"}
    small.add_task("a", **plain, **late, queue="long")  # 2 h of max(2 x 0.05, 8 x 0.02)
    small.add_task("a", **plain, **early, queue="long")  # 1 h of 2 x 0.04 + 8 x 0.01
    small.add_task("a", **plain, **late, queue="gpu1")  # 1 h of 2 x 0.1
    small.add_task("a", executor="local")
    rows = sorted(pick(small.ask("stg_list_prices"), "task_id", "currency", "cost"))
    assert rows == [
        (1, "EUR", pytest.approx(0.32)),
        (2, "EUR", pytest.approx(0.16)),
        (3, "EUR", pytest.approx(0.2)),
    ]


def use_prices(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    """Write a price list and configure it."""
    path = folder / "prices.csv"
    path.write_text(text)
    monkeypatch.setenv("TOWER_ETL_PRICES", str(path))
    return path


def test_blank_lines_and_comments_in_a_price_list_are_skipped(tmp_path: Path) -> None:
    """Prices and messages have the numbers of the lines in the file."""
    path = tmp_path / "prices.csv"
    path.write_text("\n# our cluster\n\nexecutor, cpu_hour\n\nslurm, 0.04\n\n", encoding="utf-8")
    (price,) = read_price_list(path)
    assert (price.line, price.patterns[0], price.prices) == (6, "slurm", (0.04, 0.0, 0.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: no price"),
        ("\n\nexecutor,queue\n", "line 3: no price"),
        ("# ours\nexecutor,cpu_hours\n", "line 2: unknown column cpu_hours"),
        ("cpu_hour\n\nfree\n", "line 3: invalid cpu_hour 'free'"),
    ],
)
def test_an_invalid_price_list_is_refused_with_its_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected):
        read_price_list(path)


def test_a_price_list_prices_only_tasks_without_a_platform_cost(
    small: SmallHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs of different currencies or cost sources are in separate rows."""
    use_prices(tmp_path, monkeypatch, PRICES)
    small.name_label(1, "project", "x")
    small.add_run("a")
    small.add_run("b")
    small.add_label("a", 1)
    small.add_task("a", cost=3.0, tag="s1", workdir=WORK)
    on_cluster = {"executor": "slurm", "cost": None, "machineType": None, "queue": "gpu1"}
    small.add_task("a", **on_cluster, tag="s1")
    small.add_task("a", **on_cluster, tag="s2", status="CACHED")
    small.add_task("b", executor="local", cost=None)
    small.add_bill_line(run_id="a", task_hash=HASH, used_cost=4.0)
    small.add_bill_line(run_id="a", used_cost=1.0)
    columns = ("run_id", "currency", "cost_source", "cost_usd", "saved_usd", "platform_cost_usd")
    assert sorted(pick(small.ask("run_costs"), *columns), key=str) == [
        ("a", "EUR", "price_list", 0.2, 0.2, None),
        ("a", "USD", "platform", 3.0, None, 3.0),
        ("b", "USD", "platform", None, None, None),
    ]
    names = ("run_id", "cost_source", "platform_usd", "bill_usd")
    assert sorted(pick(small.ask("bill_by_run"), *names)) == [
        ("a", "bill", 3.0, 5.0),
        ("b", "platform", None, None),
    ]
    keyed = ("value", "currency", "runs", "cost_usd", "billed_runs", "bill_usd")
    assert sorted(pick(small.ask("cost_by_label_key"), *keyed), key=str) == [
        ("(none)", "USD", 1, None, 0, None),
        ("x", "EUR", 1, 0.2, 0, None),
        ("x", "USD", 1, 3.0, 1, 5.0),
    ]
    sampled = ("sample", "currency", "cost_usd", "bill_usd")
    rows = [row for row in small.ask("cost_by_sample") if row["run_id"] == "a"]
    assert sorted(pick(rows, *sampled), key=str) == [
        ("s1", "EUR", 0.2, None),
        ("s1", "USD", 3.0, 5.0),
        ("s2", "EUR", 0.0, None),
        ("s2", "USD", 0.0, 0.0),
    ]
    assert broken_checks(small) == []


@pytest.mark.slow
def test_a_price_list_in_the_run_filter_replaces_every_cost(
    small: SmallHistory, tmp_path: Path
) -> None:
    """Tasks that the list does not match have no cost.

    CACHED tasks are savings at the list's prices.
    """
    path = tmp_path / "what-if.csv"
    path.write_text("executor,cpu_hour\nawsbatch,0.5\n")
    small.add_run("a")
    small.add_task("a", cost=3.0, executor="awsbatch")
    small.add_task("a", cost=3.0, executor="awsbatch", status="CACHED")
    small.add_task("a", cost=4.0, executor="local")
    with small.open() as connection:
        apply_filter(connection, RunFilter(prices=path))
        asked = "SELECT cost_source, cost_usd, saved_usd FROM run_costs"
        assert connection.execute(asked).fetchall() == [("price_list", 1.0, 1.0)]


@pytest.mark.slow
def test_a_run_filter_does_not_change_the_allocation_of_a_bill(small: SmallHistory) -> None:
    """A query for one run shows its part of the bill line, not the whole line."""
    for run_id, pipeline in (("a", "acme/one"), ("b", "acme/two")):
        small.add_run(run_id, projectName=pipeline)
        small.add_task(run_id)
    small.add_bill_line(compute_env="WORK", used_cost=3.0, unused_cost=1.0)
    with small.open() as connection:
        apply_filter(connection, RunFilter(pipelines=("acme/one",)))
        asked = "SELECT run_id, bill_usd FROM bill_by_run"
        assert connection.execute(asked).fetchall() == [("a", 2.0)]
        assert connection.execute("SELECT * FROM bill_unattributed").fetchall() == []


@pytest.mark.parametrize(
    ("watts", "pue", "wh", "grams"),
    [(11.45, 1.0, 14.06, 6.75), (7.5, 1.0, 10.11, 4.85), (11.45, 1.4, 19.68, 9.45)],
)
def test_energy_and_carbon_match_published_values(  # noqa: PLR0913, PLR0917 the vector is one
    small: SmallHistory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    watts: float,
    pue: float,
    wh: float,
    grams: float,
) -> None:
    """One CPU is busy for an hour with 7 GiB, at 480 g/kWh. A CACHED task uses no energy."""
    (tmp_path / "cpu_power.csv").write_text(f"machine_type,watts_low,watts_high\n*,1,{watts}\n")
    (tmp_path / "power_usage_effectiveness.csv").write_text(f"platform,pue\n*,9\naws*,{pue}\n")
    (tmp_path / "grid_intensity.csv").write_text("region,location,g_per_kwh\neu-west-1,X,480\n")
    monkeypatch.setenv("TOWER_ETL_SEEDS", str(tmp_path))
    small.add_run("a")
    small.add_task("a", cpus=1, pcpu=100.0, memory=7 * GIB, realtime=HOUR_MS)
    small.add_task("a", cpus=9, pcpu=900.0, memory=7 * GIB, status="CACHED")
    (run,) = small.ask("energy_by_run")
    assert run["kwh_high"] * 1000 == pytest.approx(wh, abs=0.006)
    assert run["carbon_kg_high"] * 1000 == pytest.approx(grams, abs=0.006)
    assert pick(small.ask("energy_by_pipeline"), "kwh_high") == [(run["kwh_high"],)]
    assert pick(small.ask("energy_by_user"), "user_name", "runs") == [("ada", 1)]
    assert broken_checks(small) == []


def test_energy_of_an_unmeasured_task_in_an_unknown_region_uses_defaults(
    small: SmallHistory,
) -> None:
    """All CPUs count as busy, with the PUE of unknown data centres and the world's average grid."""
    small.add_run("a")
    small.add_task(
        "a", cpus=2, pcpu=None, memory=None, executor="slurm", cloudZone=None, machineType=None
    )
    (run,) = small.ask("energy_by_run")
    assert run["kwh_low"] == pytest.approx(1.56 * 2 * 4.2 / 1000, abs=1e-6)
    assert run["kwh_high"] == pytest.approx(1.56 * 2 * 12 / 1000, abs=1e-6)
    assert run["carbon_kg_high"] == pytest.approx(1.56 * 2 * 12 / 1000 * 0.475, abs=1e-6)
