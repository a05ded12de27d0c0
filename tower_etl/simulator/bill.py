"""Cloud bill of a simulated platform, as an AWS cost and usage report 2.0 with split lines."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
from collections import defaultdict
from typing import TYPE_CHECKING

from tower_etl.simulator.clock import HOUR_S, format_timestamp, parse_timestamp
from tower_etl.simulator.data import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.events import World
    from tower_etl.simulator.runs import Run

_EXECUTOR = "awsbatch"
_CHARGED_SHARE = 0.72  # bill relative to the estimate, due to discounts and other machines
_UNUSED_SHARES = (0.4, 1.8)  # unused cost of a run's machines, relative to the used cost
_OTHER_USD_PER_HOUR = {"AmazonS3": 0.021, "AmazonEC2": 0.045}  # buckets and gateways, no tags
_COLUMNS = load_toml("bill.toml")


def write_bill(world: World, path: Path) -> int:
    """Write the AWS bill for the runs of a world until now, and return the number of lines.

    Tasks share machines. For each hour there is a line for the machine, and a split line for each
    task with its used cost and its share of the unused cost. Other lines belong to no run.

    Args:
        world: World whose tasks with the executor `awsbatch` are billed.
        path: Gzipped CSV file to write, with the columns of `data/bill.toml`.
    """
    number = 0
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        for number, line in enumerate(_iter_lines(world), start=1):
            month = str(line["line_item_usage_start_date"])[:7]
            line["identity_line_item_id"] = f"line-{number}"
            line["bill_billing_period_start_date"] = f"{month}-01T00:00:00Z"
            writer.writerow(_COLUMNS | line)
    return number


def _iter_lines(world: World) -> Iterator[Row]:
    now_s = world.now_s()
    runs = [run for key in world.workspaces for run in world.iter_runs(key)]
    for run in runs:
        yield from _iter_run_lines(run, now_s)
    first_s = min((int(run.submit_s) for run in runs), default=now_s)
    for hour_s in range(first_s - first_s % HOUR_S, now_s - HOUR_S + 1, HOUR_S):
        for service, cost in _OTHER_USD_PER_HOUR.items():
            yield _line(hour_s, service, cost)


def _iter_run_lines(run: Run, now_s: int) -> Iterator[Row]:
    """Iterate over the split lines of a run's tasks, then over the lines of its machines."""
    unused_share = random.Random(f"{run.id}:bill").uniform(*_UNUSED_SHARES)
    machines: defaultdict[tuple[int, str, str], float] = defaultdict(float)
    for task in run.at(now_s).tasks.rows:
        if task["executor"] != _EXECUTOR or not task["cost"] or task["status"] == "CACHED":
            continue
        for hour_s, share in _iter_hours(task):
            used = task["cost"] * share * _CHARGED_SHARE
            unused = used * unused_share
            machines[hour_s, task["machineType"], _region(task)] += used + unused
            yield _split_line(run, task, hour_s, used, unused)
    for (hour_s, machine, region), cost in machines.items():
        yield _line(hour_s, "AmazonEC2", cost) | {
            "line_item_resource_id": _instance_id(run, machine),
            "product_product_family": "Compute Instance",
            "product_instance_type": machine,
            "product_region_code": region,
        }


def _split_line(run: Run, task: Row, hour_s: int, used: float, unused: float) -> Row:
    # The hash of a task is the last two parts of its work directory, joined.
    task_hash = "".join(task["workdir"].rsplit("/", 2)[1:])
    tags = {"user_uniqueRunId": run.id, "user_taskHash": task_hash}
    return _line(hour_s, "AmazonECS", 0.0) | {
        "line_item_resource_id": task["nativeId"],
        "product_product_family": "Compute Metering",
        "product_region_code": _region(task),
        "split_line_item_parent_resource_id": _instance_id(run, task["machineType"]),
        "split_line_item_split_cost": round(used, 10),
        "split_line_item_unused_cost": round(unused, 10),
        "resource_tags": json.dumps(tags),
    }


def _line(hour_s: int, service: str, cost: float) -> Row:
    return {
        "line_item_usage_start_date": format_timestamp(hour_s),
        "line_item_usage_end_date": format_timestamp(hour_s + HOUR_S),
        "line_item_product_code": service,
        "line_item_unblended_cost": round(cost, 10),
    }


def _iter_hours(task: Row) -> Iterator[tuple[int, float]]:
    """Iterate over the hours in which a task ran, each with its share of the task's time."""
    start_s, end_s = (int(parse_timestamp(task[name])) for name in ("start", "complete"))
    for hour_s in range(start_s - start_s % HOUR_S, end_s, HOUR_S):
        seconds = min(end_s, hour_s + HOUR_S) - max(start_s, hour_s)
        yield hour_s, seconds / (end_s - start_s)


def _region(task: Row) -> str:
    """Return the region of a task's zone, which ends with a letter."""
    return str(task["cloudZone"])[:-1]


def _instance_id(run: Run, machine: str) -> str:
    return f"i-{hashlib.sha256(f'{run.id}:{machine}'.encode()).hexdigest()[:17]}"
