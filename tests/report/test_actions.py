"""The configuration snippet for Nextflow: its content, its syntax, and the cost that it saves."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from groovy_parser.parser import parse_groovy_content
from lark.exceptions import LarkError

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.report.actions import memory_config_snippet
from tower_etl.report.queries import load_report_data
from tower_etl.report.task_data import MemoryRequest
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = MemoryRequest(
    process="ACME:ALIGN",
    tasks=12,
    runs=2,
    weak=False,
    requested_gib=64.0,
    lowest_requested_gib=64.0,
    requested_cpus=4,
    lowest_requested_cpus=4,
    most_used_gib=2.0,
    recommended_gib=3,
    killed_tasks=0,
    grown_tasks=0,
    spot_grown_tasks=0,
    saves_gib_hours=61.0,
    saves_at_least_usd=1.0,
    saves_at_most_usd=1.0,
    spot_escalated_usd=None,
)
EXPECTED = """\
process {
  withName: 'ACME:ALIGN' {
    memory = { 3.GB * (task.exitStatus in [134, 137, 139, 140, 247] ? task.attempt : 1) }
    errorStrategy = { task.exitStatus in ((130..145) + [104, 247, 50001, 2147483647]) ? 'retry' : 'finish' }
    maxRetries = 3
  }
}"""  # noqa: E501 users paste it like this


def test_the_snippet_raises_memory_only_after_out_of_memory_exit_codes() -> None:
    """Tasks with these exit codes, and tasks that lost a spot machine, are retried."""
    assert memory_config_snippet([REQUEST]) == EXPECTED
    assert memory_config_snippet([]) == ""


def test_a_process_with_two_cost_sources_is_in_the_snippet_once() -> None:
    """The process is left out if the row of one source does not recommend the change."""
    assert memory_config_snippet([REQUEST, replace(REQUEST, saves_at_least_usd=None)]) == EXPECTED
    other = replace(REQUEST, requested_gib=2.0, lowest_requested_gib=2.0)
    assert memory_config_snippet([REQUEST, other]) == ""


def test_a_recommendation_from_few_tasks_has_a_comment() -> None:
    assert "// measured on 9 tasks only" in memory_config_snippet(
        [replace(REQUEST, tasks=9, weak=True)]
    )


def test_requests_that_grew_after_spot_losses_keep_their_first_values() -> None:
    """CPUs are set as well. If tasks ran out of memory, the recommended memory is used instead."""
    grown = replace(REQUEST, recommended_gib=70, grown_tasks=2, spot_grown_tasks=2)
    config = memory_config_snippet([grown])
    assert "    cpus = 4\n    memory = { 64.GB * (" in config
    killed = memory_config_snippet([replace(grown, killed_tasks=1)])
    assert "memory = { 70.GB * (" in killed


@pytest.mark.parametrize(
    "changes",
    [
        {"recommended_gib": 64},  # the recommendation is the present request
        {"lowest_requested_gib": 2.0},  # one value would raise the smallest request
        {"grown_tasks": 1},  # a retry with more succeeded: tasks may need it
        {"process": "it's", "grown_tasks": 1},  # not a valid process name
        {"recommended_gib": None},
    ],
)
def test_a_process_is_left_out_if_one_setting_could_harm_its_tasks(changes: dict[str, Any]) -> None:
    assert memory_config_snippet([replace(REQUEST, **changes)]) == ""


@pytest.mark.slow
def test_the_snippet_is_valid_groovy() -> None:
    """Nextflow's configuration is Groovy. The parser refuses two broken variants."""
    grown = replace(REQUEST, tasks=3, weak=True, grown_tasks=1, spot_grown_tasks=1)
    config = memory_config_snippet([grown, replace(REQUEST, process="ACME:COUNT")])
    assert parse_groovy_content(config) is not None
    for broken in (config[:-1], config.replace("? 'retry'", "?: ? 'retry'")):
        with pytest.raises(LarkError):
            parse_groovy_content(broken)


@dataclass(frozen=True)
class Setting:
    """Settings of a process: first memory, CPUs, and the exit codes after which memory grows."""

    memory_gib: int
    cpus: int | None
    growth: frozenset[str]


def read_settings(config: str) -> dict[str, Setting]:
    """Return the settings of a configuration, by process."""
    blocks = re.findall(r"withName: '([\w:]+)' \{\n(.*?)\n  \}", config, re.DOTALL)
    return {name: read_setting(block) for name, block in blocks}


def read_setting(block: str) -> Setting:
    """Parse one block of a configuration."""
    memory = re.search(r"memory = \{ (\d+)\.GB \* \(task\.exitStatus in \[(.*?)\]", block)
    cpus = re.search(r"cpus = (\d+)", block)
    assert memory
    codes = frozenset(code.strip() for code in memory[2].split(","))
    return Setting(int(memory[1]), int(cpus[1]) if cpus else None, codes)


TASKS = """
SELECT t.run_id, t.process, t.name, t.attempt, t.status, t.exit_code, t.cost_usd, t.cpus,
  t.requested_gib, t.used_gib, t.gib_per_vcpu, t.billed_vcpus
FROM stg_tasks AS t WHERE NOT t.cached AND t.cost_usd IS NOT NULL ORDER BY t.attempt
"""


@pytest.mark.slow
@pytest.mark.shared
def test_real_runs_would_have_cost_less_with_the_snippet(real_runs: Path) -> None:
    """The platform's formula prices every task again, with the requests of the snippet.

    No task gets less memory than it used, and no task costs more than before.
    """
    with open_reader(real_runs) as connection:
        settings = read_settings(
            memory_config_snippet(load_report_data(connection, SYSTEM_CLOCK.now()).advice)
        )
        cursor = connection.execute(TASKS)
        names = [column[0] for column in cursor.description or ()]
        tasks = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    exits: dict[tuple[str, str, str], str] = {}
    before = after = grown = 0.0
    for task in tasks:
        key = (task["run_id"], task["process"], task["name"])
        setting = settings.get(task["process"])
        cost = price_again(task, setting, exits.get(key, "none")) if setting else task["cost_usd"]
        assert cost <= task["cost_usd"] * (1 + 1e-9)
        if setting and task["attempt"] > 1:
            grown += task["cost_usd"] - cost
        before, after = before + task["cost_usd"], after + cost
        exits[key] = task["exit_code"]
    assert before == pytest.approx(38.85, abs=0.01)
    assert before - after > 7
    assert grown > 0.6  # two attempts after the loss of a spot machine


def price_again(task: dict[str, Any], setting: Setting, previous_exit: str) -> float:
    """Return the cost of a task with other requests.

    A completed task must have at least the memory that it used.
    """
    growth = task["attempt"] if previous_exit in setting.growth else 1
    memory = setting.memory_gib * growth
    if task["status"] == "COMPLETED":
        assert memory >= (task["used_gib"] or 0)
    cpus = setting.cpus or task["cpus"]
    billed = max(cpus, math.ceil(memory / task["gib_per_vcpu"]))
    cost: float = task["cost_usd"] * billed / task["billed_vcpus"]
    return cost
