"""Share of the bills that is attributed to runs, and the reasons for the rest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tower_etl.warehouse.status import Query

SNIPPET = """\
process {
    resourceLabels = { [
        uniqueRunId: System.getenv('TOWER_WORKFLOW_ID'),
        taskHash: task.hash
    ] }
}"""
"""Nextflow configuration that tags every task with the labels used to match bill lines."""

_PERIODS = """
SELECT billing_period, provider, billing_account, currency, count(*), sum(cost),
  sum(CASE WHEN method = 'tag' THEN cost ELSE 0 END),
  sum(CASE WHEN method = 'allocated' THEN cost ELSE 0 END),
  sum(CASE WHEN method = 'tag' AND task_id IS NOT NULL THEN cost ELSE 0 END)
FROM stg_bill_shares
GROUP BY billing_period, provider, billing_account, currency
ORDER BY billing_period, provider, billing_account, currency
"""
COVERAGE_VIEWS = ("stg_bill_shares", "stg_bill_lines", "bill_unattributed")
"""Views that `read_coverage` queries."""

_TAGS = "SELECT count(run_tag), count(task_hash), count(compute_env) FROM stg_bill_lines"
_REASONS = """
SELECT reason, currency, sum(lines), sum(cost) FROM bill_unattributed
GROUP BY reason, currency ORDER BY sum(cost) DESC, reason, currency
"""
_TWICE = """
SELECT billing_period FROM (
  SELECT billing_period, provider FROM stg_bill_lines GROUP BY billing_period, provider
) AS loaded GROUP BY billing_period HAVING count(*) > 1 ORDER BY billing_period
"""


@dataclass(frozen=True)
class PeriodCoverage:
    """One billing period of an account.

    Attributes:
        period: Billing period as YYYY-MM.
        provider: Format of the export.
        account: Billing account.
        currency: Currency of the costs.
        lines: Number of lines, including shares of allocated lines.
        cost: Cost of all lines, except machines whose cost the split lines already contain.
        tagged: Cost attributed to a run by a tag.
        allocated: Cost divided among the tasks of a compute environment.
        of_tasks: Part of `tagged` that is attributed to a task.
    """

    period: str
    provider: str
    account: str
    currency: str | None
    lines: int
    cost: float
    tagged: float
    allocated: float
    of_tasks: float

    @property
    def attributed_percent(self) -> float:
        """Share of the cost that is attributed to runs, in percent; 100 if the cost is 0."""
        return 100 * (self.tagged + self.allocated) / self.cost if self.cost else 100.0


@dataclass(frozen=True)
class Coverage:
    """Attributed and unattributed cost of the loaded bills.

    Attributes:
        periods: Each billing period.
        reasons: Reason, currency, lines and cost of unattributed lines, largest cost first.
        tags: Number of lines with a tag, by the name used in `--map`.
        twice: Billing periods loaded in two formats, whose costs may be counted twice.
    """

    periods: list[PeriodCoverage]
    reasons: list[tuple[str, str, int, float]]
    tags: dict[str, int]
    twice: list[str]

    @property
    def missing_tags(self) -> list[str]:
        """Tags required for attribution that no line has."""
        return [name for name in ("run_id", "task_hash") if not self.tags[name]]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "periods": [
                {
                    name: round(value, 6) if isinstance(value, float) else value
                    for name, value in asdict(period).items()
                }
                | {"attributed_percent": round(period.attributed_percent, 2)}
                for period in self.periods
            ],
            "unattributed": [
                {"reason": reason, "currency": currency, "lines": lines, "cost": round(cost, 6)}
                for reason, currency, lines, cost in self.reasons
            ],
            "lines_with_tag": self.tags,
            "missing_tags": self.missing_tags,
            "loaded_twice": self.twice,
        }


def read_coverage(query: Query) -> Coverage:
    """Return the coverage of the loaded bills.

    Args:
        query: Runs SQL that refers to the views without a schema.
    """
    ((run_id, task_hash, compute_env),) = query(_TAGS)
    return Coverage(
        periods=[PeriodCoverage(*row) for row in query(_PERIODS)],
        reasons=[(reason, money, int(n), cost) for reason, money, n, cost in query(_REASONS)],
        tags={"run_id": run_id, "task_hash": task_hash, "compute_env": compute_env},
        twice=[month for (month,) in query(_TWICE)],
    )
