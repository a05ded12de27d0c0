"""Long test of concurrent syncs of two targets at the rate limit, with faults and kills.

Usage: python -m benchmarks.soak [MINUTES] (30). A platform on loopback allows 20 calls in any
second and corrupts one response in twenty. In each round a few simulated hours pass: runs are
submitted and end, labels are edited, runs are deleted. Two syncs with the same token start together
in each round, and one sync in six is killed. At the end both files are compared with the world.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.accuracy import compare_rows
from benchmarks.candidates import OURS
from benchmarks.expected import write_expected
from benchmarks.sizes import find_workspace
from tower_etl.simulator import (
    DEMO_TOKEN,
    SimClock,
    Simulator,
    build_world,
    peak_calls_per_second,
    serve,
)
from tower_etl.simulator.faults import DEFAULT_MIX, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.simulator import World

TARGETS = ("one.duckdb", "other.duckdb")
_STEP = timedelta(hours=6)
_SPAN = timedelta(days=28)  # below the age at which open runs are abandoned
_SETTLED = timedelta(days=3)  # a failed sync may not have loaded younger runs yet
_SPOILT = 0.05
_MIX = tuple(fault for fault in DEFAULT_MIX if fault.status != HTTPStatus.TOO_MANY_REQUESTS)
_FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class Ended:
    """Result of a sync.

    Attributes:
        code: Exit code; if negative, the signal that killed the sync.
        cpu_s: CPU seconds, user and system.
        peak_mib: Peak resident memory in MiB.
    """

    code: int
    cpu_s: float
    peak_mib: float


@dataclass
class SoakRun:
    """Rounds of syncs in a folder.

    Attributes:
        url: Address of the platform.
        world: World that the platform serves.
        folder: Folder of the files.
        ended: Results of the syncs, in order.
        rounds: Number of completed rounds.
    """

    url: str
    world: World
    folder: Path
    ended: list[Ended] = field(default_factory=list)
    rounds: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311 seeded
    _touched: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    def play_round(self, last: datetime) -> None:
        """Let hours pass and sync both targets; one of the syncs may be killed."""
        if self.world.clock.now() + _STEP <= last:
            self.world.clock.advance(_STEP)
            self._edit()
        self._seen |= {run["id"] for run in self._list_runs()}
        started = [self._start(target, "--reconcile") for target in TARGETS]
        if self._chance.random() < 1 / 3:
            time.sleep(self._chance.uniform(0.5, 6.0))  # kill at a random moment
            self._chance.choice(started).kill()
        self.ended += [_wait(process) for process in started]
        self.rounds += 1

    def finish(self) -> list[int]:
        """Bring both targets up to date; return the exit codes."""
        return [_wait(self._start(target, "--reconcile")).code for target in TARGETS]

    def _edit(self) -> None:
        """Edit the labels of one run; in every fifth round delete another, unchanged run."""
        old = self.world.clock.now() - _SETTLED
        bookmark = [
            run["id"]
            for run in self._list_runs()
            if run["status"] in _FINAL and datetime.fromisoformat(run["submit"]) < old
        ]
        fresh = [run_id for run_id in bookmark if run_id not in self._touched]
        if not fresh:
            return
        edited, *others = self._chance.sample(fresh, min(2, len(fresh)))
        known = sorted(self.world.labels[self.world.find_run(edited).workspace_id])
        self.world.set_labels(edited, self._chance.sample(known, min(2, len(known))))
        self._touched.add(edited)
        if others and self.rounds % 5 == 0:
            self.world.delete_run(others[0])
            self._touched.add(others[0])

    def write_expected(self) -> Path:
        """Write the expected rows of both files: all runs that were ever listed."""
        expected = self.folder / "expected.duckdb"
        write_expected(self.world, sorted(self._seen), expected)
        return expected

    def _list_runs(self) -> list[dict[str, Any]]:
        return [*self.world.runs(None), *self.world.runs(find_workspace(self.world))]

    def _start(self, target: str, *more: str) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return subprocess.Popen(
            [*OURS.order(Path(target), later=False), "--endpoint", self.url, *more],
            cwd=self.folder,
            env={
                **kept,
                "HOME": str(self.folder),
                "NO_PROXY": "*",
                "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _wait(process: subprocess.Popen[bytes]) -> Ended:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run_soak(minutes: float, folder: Path) -> list[str]:
    """Play rounds for some minutes; return the lines of a summary."""
    last = datetime.now(UTC).replace(microsecond=0)
    world = build_world(
        11,
        clock=SimClock.frozen_at(last - _SPAN),
        organizations=1,
        workspaces=1,
        runs=250,
        open_runs=6,
        mean_tasks=25,
    )
    simulator = Simulator(world, faults=FaultPlan(_SPOILT, mix=_MIX), latency_s=0.02, jitter_s=0.05)
    ends = time.monotonic() + 60 * minutes
    with serve(simulator) as url:
        soak_run = SoakRun(url, world, folder)
        while time.monotonic() < ends:
            soak_run.play_round(last)
        simulator.faults.clear()
        codes = soak_run.finish()
    return [*_describe(soak_run, simulator), f"last syncs: exit codes {codes}", *_judge(soak_run)]


def _describe(soak_run: SoakRun, simulator: Simulator) -> list[str]:
    calls, ended = simulator.calls, soak_run.ended
    refused = sum(call.status == HTTPStatus.TOO_MANY_REQUESTS for call in calls)
    corrupted = sum(call.fault is not None for call in calls)
    codes = Counter(sync.code for sync in ended)
    whole = [sync for sync in ended if sync.code != -signal.SIGKILL][len(TARGETS) :]
    third = max(1, len(whole) // 3)
    return [
        f"rounds: {soak_run.rounds}, syncs by exit code: {dict(sorted(codes.items()))}",
        f"calls: {len(calls)}, corrupted {corrupted}, refused {refused}",
        f"calls in the worst second: {peak_calls_per_second(calls)}",
        f"first third of the syncs: {_mean(whole[:third])}",
        f"last third of the syncs: {_mean(whole[-third:])}",
    ]


def _mean(syncs: Sequence[Ended]) -> str:
    if not syncs:
        return "none"
    cpu = sum(sync.cpu_s for sync in syncs) / len(syncs)
    peak = max(sync.peak_mib for sync in syncs)
    return f"{cpu:.1f} s of CPU on average, peak {peak:.0f} MiB"


def _judge(soak_run: SoakRun) -> list[str]:
    expected = soak_run.write_expected()
    lines = []
    for target in TARGETS:
        accuracy = compare_rows(soak_run.folder / target, OURS.sql, expected)
        lines += [
            f"{target}: {table} {rows.right} right, {rows.faults} not"
            for table, rows in accuracy.items()
        ]
    return lines


if __name__ == "__main__":
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write("\n".join(run_soak(minutes, Path(folder))) + "\n")
