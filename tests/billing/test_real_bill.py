"""The real export of two runs, with tags in every form of AWS, gives the figures of the bill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.billing.target import BillTarget

pytestmark = pytest.mark.shared

RNASEQ, SAREK, METHYLSEQ = "10Sj9ejvKktHWg", "15dvxY1LnZYrYe", "wELtvsveirfd9"
KEYS = (
    "user_pipeline_tag",
    "user_pipeline_process",
    "user_unique_run_id",
    "user_pipeline_session_id",
    "user_task_hash",
)
AS_MAP = "map_from_entries(list_transform(resource_tags, lambda e: {'k': e[1], 'v': e[2]}))"
FLAT = ", ".join(
    f"list_filter(resource_tags, lambda e: e[1] = '{key}')[1][2] AS \"{{prefix}}{key}\""
    for key in KEYS
)


def write(source: Path, path: Path, sql: str) -> Path:
    """Write the result of a query of the view `lines`, which is the export, and return the path."""
    form = "(FORMAT parquet)" if path.suffix == ".parquet" else "(HEADER, FORMAT csv)"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW lines AS FROM '{source}'")
        connection.execute(f"COPY ({sql}) TO '{path}' {form}")
    return path


def legacy_names(source: Path) -> str:
    """Return a SQL list of the columns, without tags, under the names of a legacy CSV."""
    with duckdb.connect() as connection:
        names = [row[0] for row in connection.sql(f"DESCRIBE FROM '{source}'").fetchall()]
    legacy = []
    for name in names[:-1] if names[-1] == "resource_tags" else names:
        if name == "resource_tags":
            continue
        group = next(g for g in ("split_line_item", "line_item", "product") if name.startswith(g))
        field = "".join(part.capitalize() for part in name.removeprefix(f"{group}_").split("_"))
        first, *rest = group.split("_")
        prefix = first + "".join(part.capitalize() for part in rest)
        legacy.append(f'{name} AS "{prefix}/{field}"')
    return ", ".join(legacy)


SHAPES: dict[str, Callable[[Path, Path], Path]] = {
    "list of pairs": lambda export, _: export,
    "map": lambda export, folder: write(
        export,
        folder / "map.parquet",
        f"SELECT * EXCLUDE (resource_tags), {AS_MAP} AS resource_tags FROM lines",  # noqa: S608 names of this test
    ),
    "columns": lambda export, folder: write(
        export,
        folder / "flat.parquet",
        f"SELECT * EXCLUDE (resource_tags), {FLAT.format(prefix='resource_tags_')} FROM lines",  # noqa: S608 names of this test
    ),
    "map as JSON in a CSV": lambda export, folder: write(
        export,
        folder / "map.csv",
        f"SELECT * EXCLUDE (resource_tags), to_json({AS_MAP}) AS resource_tags FROM lines",  # noqa: S608 names of this test
    ),
    "columns of a legacy CSV, compressed": lambda export, folder: write(
        export,
        folder / "legacy.csv.gz",
        f"SELECT {legacy_names(export)}, {FLAT.format(prefix='resourceTags/')} FROM lines",  # noqa: S608 names of this test
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_every_form_of_tags_gives_the_figures_of_the_bill(
    target: BillTarget, export: Path, tmp_path: Path, shape: str
) -> None:
    """The third run has no lines, and the line of the unknown run is unattributed."""
    report = target.load(SHAPES[shape](export, tmp_path))
    assert report.lines.total() == 793
    rows = target.select(
        "SELECT run_id, used_usd, unused_usd, coverage, method FROM bill_by_run ORDER BY run_id"
    )
    assert rows == [
        (RNASEQ, pytest.approx(12.3125, abs=5e-5), pytest.approx(17.3275, abs=5e-5), 100.0, "tag"),
        (SAREK, None, None, 0.0, None),
        (METHYLSEQ, pytest.approx(8.9555, abs=5e-5), pytest.approx(24.0118, abs=5e-5), 100, "tag"),
    ]
    rest = target.select("SELECT reason, lines, cost FROM bill_unattributed")
    assert rest == [("unknown run", 1, pytest.approx(0.1235, abs=5e-5))]


@pytest.mark.slow
def test_the_bill_is_compared_with_the_estimate_by_user(target: BillTarget, export: Path) -> None:
    """The bill is twice the estimate, most of it for unused capacity. All checks hold."""
    target.load(export)
    rows = target.select(
        "SELECT user_name, billed_runs, platform_usd, bill_usd, ratio FROM bill_by_user LIMIT 1"
    )
    estimate = pytest.approx(21.260741 + 11.575938, abs=1e-5)
    assert rows == [("florian-wuennemann", 2, estimate, pytest.approx(62.6072, abs=5e-5), 1.9066)]
    hours = target.select("SELECT sum(used_usd), sum(unused_usd), min(queue) FROM packing")
    used, unused = pytest.approx(21.3914, abs=1e-3), pytest.approx(41.3393, abs=1e-3)
    assert hours[0][:2] == (used, unused)
    assert {check.name: target.select(check.sql) for check in iter_views("checks")} == {
        check.name: [] for check in iter_views("checks")
    }


@pytest.mark.slow
def test_bill_lines_are_attributed_to_tasks_by_their_hash(target: BillTarget, export: Path) -> None:
    """The process with the largest bill comes first."""
    target.load(export)
    first, *_ = target.select("SELECT process, tasks, platform_usd, bill_usd FROM bill_by_process")
    assert first == (
        "NFCORE_METHYLSEQ:METHYLSEQ:FASTQ_ALIGN_DEDUP_BISMARK:BISMARK_ALIGN",
        7,
        pytest.approx(7.822539, abs=1e-6),
        pytest.approx(24.01747, abs=1e-5),
    )


@pytest.mark.slow
def test_a_reloaded_billing_period_is_replaced_as_a_whole(target: BillTarget, export: Path) -> None:
    """It is reloaded with about half of its lines, and back; the other account is not changed."""
    folder = target.path.parent
    target.load(export)
    half = write(export, folder / "half.parquet", "FROM lines LIMIT 400")
    target.load(half)
    assert target.select("SELECT count(*) FROM bill_lines") == [(400,)]
    other = write(
        export, folder / "other.parquet", "SELECT *, '42' AS bill_payer_account_id FROM lines"
    )
    target.load(other)
    assert target.select("SELECT count(*) FROM bill_lines") == [(1193,)]
    target.load(export)
    assert target.select(
        "SELECT billing_account, count(*) FROM bill_lines GROUP BY ALL ORDER BY 1"
    ) == [
        ("42", 793),
        ("unknown", 793),
    ]
