"""Generation of worlds from a seed: organizations, users, labels and runs."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.simulator.clock import DAY_S, HOUR_S, SimClock, to_seconds
from tower_etl.simulator.events import ID_ALPHABET, World
from tower_etl.simulator.generator.reference import add_reference_data
from tower_etl.simulator.generator.runs import GeneratedRun, TaskCache
from tower_etl.simulator.generator.specs import (
    ACCOUNTS,
    PIPELINES,
    PLATFORMS,
    RunSpec,
    draw_log_normal,
)
from tower_etl.simulator.runs import Run

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.simulator.generator.specs import Pipeline, Platform

_PERSONAL_SHARE = 0.03
_OUTCOMES = {"SUCCEEDED": 78, "FAILED": 16, "CANCELLED": 6}  # with their weights
_RESUMED_SHARE = 0.55  # share of the failed and cancelled runs
_COMMAND_LINE_SHARE = 0.15
_HEARTBEAT_GAP_SHARE = 0.03
_TASK_SIGMA = 0.8
_LONG_OPEN_S = 9 * DAY_S
_WITHOUT_HEARTBEAT = 2  # number of the open run whose heartbeat is lost
_SPOT_SHARE = 0.7
_FUSION_SHARE = 0.5
_STAGING_FACTOR = 1.3  # duration without Fusion relative to Fusion
_ADOPTION_SPREAD = 0.4  # spread of the adoption of a release, in lifetimes of a release
_KEYED_LABEL_SHARE = 0.75  # share of runs with a label of a key
_PLATFORM_OF = (0, 0, 1, 2)  # platform of a workspace, by its number
_MIN_WALL_S = 240


@dataclass(frozen=True)
class WorldConfig:
    """Size of a generated world.

    Attributes:
        organizations: Number of organizations.
        workspaces: Total number of workspaces, without the owner's personal workspace.
        runs: Number of runs submitted before now, including open runs.
        days: Number of past days with runs; the same number of runs follows in as many days.
        open_runs: Number of runs that are not final now.
        mean_tasks: Mean number of tasks of a run.
    """

    organizations: int = 2
    workspaces: int = 4
    runs: int = 200
    days: int = 30
    open_runs: int = 5
    mean_tasks: int = 60

    def __post_init__(self) -> None:
        """Raise a ValueError if there are more open runs than runs, or a number is below 1."""
        smallest = min(self.organizations, self.workspaces, self.days, self.mean_tasks)
        if not 0 <= self.open_runs <= self.runs or smallest < 1:
            msg = (
                f"A world needs at least one of everything, and as many runs as open runs: {self}."
            )
            raise ValueError(msg)


class WorldGenerator:
    """Generator that draws a world from a seed.

    Attributes:
        world: World to which it adds accounts and runs.
        now_s: Time between past and future runs, epoch seconds.
        keys: Keys of the workspaces, the personal one last.
        unfinished: Failed and cancelled runs that will be resumed, by workspace key.
        number: Number of the latest run.
    """

    def __init__(self, world: World, config: WorldConfig, seed: int, now_s: int) -> None:
        self.world, self.config, self.seed, self.now_s = world, config, seed, now_s
        self.rng = random.Random(f"world:{seed}")
        self.cache = TaskCache()
        self.keys: list[int] = []
        self.unfinished: defaultdict[int, list[RunSpec]] = defaultdict(list)
        self.number = 0

    def add_accounts(self) -> None:
        """Add organizations, workspaces, users, labels and reference data."""
        for name in ACCOUNTS["users"]:
            self.world.add_user(name)
        orgs = [
            self.world.add_organization(_name("organizations", number))
            for number in range(self.config.organizations)
        ]
        for number in range(self.config.workspaces):
            name = _name("workspaces", number)
            self.keys.append(self.world.add_workspace(orgs[number % len(orgs)], name))
        self.keys.append(self.world.find_key(None))
        for key in self.keys:
            for label in ACCOUNTS["labels"]:
                self.world.create_label(key, *label)
        add_reference_data(self.world)

    def add_runs(self) -> None:
        """Add past runs, open runs and future runs."""
        config, random_share = self.config, self.rng.random
        latest_s, span_s = self.now_s - 2 * HOUR_S, config.days * DAY_S - 2 * HOUR_S
        ages_s = [int(random_share() * span_s) for _ in range(config.runs - config.open_runs)]
        for age_s in sorted(ages_s, reverse=True):
            self._add(self._draw(latest_s - age_s, latest_s=self.now_s - 60))
        for number in range(config.open_runs):
            self._add(self._draw_open(number))
        delays_s = [int(random_share() * config.days * DAY_S) for _ in range(config.runs)]
        for delay_s in sorted(delays_s):
            self._add(self._draw(self.now_s + 60 + delay_s))

    def _draw(self, submit_s: int, latest_s: int | None = None) -> RunSpec:
        """Draw a run submitted at a time, complete by `latest_s` if given."""
        parent = self._next_to_resume(submit_s)
        spec = self._resume(parent, submit_s) if parent else self._new_run(submit_s)
        if latest_s is not None and spec.final_s >= latest_s:
            complete_s = max(spec.start_s + 60, latest_s - 5)
            start_s = min(spec.start_s, complete_s - 60)
            spec = replace(spec, start_s=start_s, complete_s=complete_s, heartbeat_gap=None)
        return spec

    def _draw_open(self, number: int) -> RunSpec:
        """Draw an open run: the first is not started, the second is old."""
        rng, now_s = self.rng, self.now_s
        age_s = rng.randrange(HOUR_S, 12 * HOUR_S)
        if number == 1 and self.config.days * DAY_S > _LONG_OPEN_S:
            age_s = _LONG_OPEN_S
        spec = self._new_run(now_s - age_s, outcome="SUCCEEDED" if number else None)
        complete_s = now_s + rng.randrange(600, 8 * HOUR_S)
        if number == 0:
            spec = replace(spec, submit_s=now_s - 90)
            start_s, complete_s = now_s + 200, max(complete_s, now_s + 900)
        else:
            start_s = min(spec.start_s, now_s - 60)
        gap = (now_s - 300, now_s + 1800) if number == _WITHOUT_HEARTBEAT else None
        return replace(spec, start_s=start_s, complete_s=complete_s, heartbeat_gap=gap)

    def _new_run(self, submit_s: int, outcome: str | None = None) -> RunSpec:
        """Draw a run of a new session."""
        rng = self.rng
        pipeline = rng.choices(PIPELINES, [entry.weight for entry in PIPELINES])[0]
        key, platform = self._draw_workspace()
        # The mean of a log-normal distribution is its median times exp(sigma squared / 2).
        median = self.config.mean_tasks / math.exp(_TASK_SIGMA**2 / 2)
        tasks = max(1, round(draw_log_normal(rng, median, _TASK_SIGMA)))
        samples = pipeline.count_samples(tasks)
        users = list(self.world.users.values())
        user = users[0] if key < 0 else users[int(rng.random() ** 2 * len(users))]
        spec = RunSpec(
            **self._draw_identity(submit_s),
            workspace_id=key,
            user_id=user.id,
            user_name=user.name,
            pipeline=pipeline,
            revision=self._draw_revision(pipeline, submit_s),
            platform=platform,
            spot=bool(platform.machines) and rng.random() < _SPOT_SHARE,
            fusion=bool(platform.machines) and rng.random() < _FUSION_SHARE,
            launch_id=None if rng.random() < _COMMAND_LINE_SHARE else _draw_id(rng, 22),
            session_id=_draw_session(rng),
            samples=samples,
            planned_tasks=min(pipeline.count_tasks(samples), tasks),
            start_s=self._draw_start_s(submit_s),
            complete_s=0,
            outcome=outcome or rng.choices([*_OUTCOMES], [*_OUTCOMES.values()])[0],
        )
        return self._set_end(spec)

    def _resume(self, parent: RunSpec, submit_s: int) -> RunSpec:
        """Draw a run that resumes a failed or cancelled one."""
        spec = replace(
            parent,
            **self._draw_identity(submit_s),
            planned_tasks=parent.pipeline.count_tasks(parent.samples),
            start_s=self._draw_start_s(submit_s),
            outcome="SUCCEEDED",
            parent=parent,
            heartbeat_gap=None,
        )
        return self._set_end(spec)

    def _draw_identity(self, submit_s: int) -> dict[str, Any]:
        self.number += 1
        run_id = _draw_id(self.rng)
        name = f"{self.rng.choice(ACCOUNTS['adjectives'])}_{self.rng.choice(ACCOUNTS['surnames'])}"
        return {
            "number": self.number,
            "id": run_id,
            "seed": f"run:{self.seed}:{self.number}",
            "name": f"{name}_{self.number}",
            "submit_s": submit_s,
        }

    def _draw_start_s(self, submit_s: int) -> int:
        return submit_s + 30 + int(draw_log_normal(self.rng, 90, 0.8))

    def _set_end(self, spec: RunSpec) -> RunSpec:
        """Set the end of a run, early if it failed, and with some probability a heartbeat gap."""
        rng = self.rng
        if spec.outcome != "SUCCEEDED":
            ended = max(1, int(spec.planned_tasks * rng.uniform(0.1, 0.95)))
            spec = replace(spec, planned_tasks=ended)
        share = spec.planned_tasks / spec.pipeline.count_tasks(spec.samples)
        pace = draw_log_normal(rng, 1.4, 0.45)
        slowness = pace * spec.pace * (1 if spec.fusion else _STAGING_FACTOR)
        wall_s = int(_MIN_WALL_S + share * _estimate_wall_s(spec.pipeline) * slowness)
        gap = None
        if rng.random() < _HEARTBEAT_GAP_SHARE:
            lost_s = spec.start_s + wall_s // 2
            gap = (lost_s, lost_s + wall_s // 5)
        return replace(spec, complete_s=spec.start_s + wall_s, heartbeat_gap=gap)

    def _next_to_resume(self, submit_s: int) -> RunSpec | None:
        for waiting in self.unfinished.values():
            if waiting and waiting[0].final_s + 300 < submit_s:
                return waiting.pop(0)
        return None

    def _draw_revision(self, pipeline: Pipeline, submit_s: int) -> str:
        """Draw the release of a run; later runs have newer releases."""
        age = 1 - (self.now_s - submit_s) / (self.config.days * DAY_S)
        spread = self.rng.uniform(-_ADOPTION_SPREAD, _ADOPTION_SPREAD)
        number = int(age * len(pipeline.revisions) + spread)
        return pipeline.revisions[max(0, min(number, len(pipeline.revisions) - 1))]

    def _draw_labels(self, key: int) -> tuple[int, ...]:
        """Draw labels of a workspace: any without a value, at most one for each key."""
        rng = self.rng
        by_name: dict[str, list[int]] = {}
        for label_id, label in self.world.labels[key].items():
            by_name.setdefault(label["name"] if label["resource"] else "", []).append(label_id)
        chosen = rng.sample(by_name.pop("", []), rng.choice((0, 0, 1, 1, 2)))
        chosen += [rng.choice(ids) for ids in by_name.values() if rng.random() < _KEYED_LABEL_SHARE]
        return tuple(sorted(chosen))

    def _draw_workspace(self) -> tuple[int, Platform]:
        if self.rng.random() < _PERSONAL_SHARE:
            return self.keys[-1], PLATFORMS[-1]
        number = min(int(self.rng.random() ** 1.6 * (len(self.keys) - 1)), len(self.keys) - 2)
        return self.keys[number], PLATFORMS[_PLATFORM_OF[number % len(_PLATFORM_OF)]]

    def _add(self, spec: RunSpec) -> None:
        run = Run(
            id=spec.id,
            workspace_id=spec.workspace_id,
            submit_s=spec.submit_s,
            at=GeneratedRun(spec, self.cache).snapshot,
            launch_id=spec.launch_id,
            platform_id=spec.platform.id,
            label_ids=self._draw_labels(spec.workspace_id),
        )
        self.world.add_run(run)
        is_unfinished = spec.outcome != "SUCCEEDED" and spec.parent is None
        if is_unfinished and self.rng.random() < _RESUMED_SHARE:
            self.unfinished[spec.workspace_id].append(spec)


def _name(kind: str, number: int) -> str:
    lap, number = divmod(number, len(ACCOUNTS[kind]))
    name: str = ACCOUNTS[kind][number]
    return f"{name}-{lap + 1}" if lap else name


def _draw_id(rng: random.Random, length: int | None = None) -> str:
    return "".join(rng.choices(ID_ALPHABET, k=length or rng.choice((13, 14, 14, 14))))


def _draw_session(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-9{text[17:20]}-{text[20:]}"


def _estimate_wall_s(pipeline: Pipeline) -> float:
    slowest: dict[int, float] = {}
    for process in pipeline.processes:
        slowest[process.stage] = max(slowest.get(process.stage, 0), process.minutes)
    return 60 * sum(slowest.values())


def build_world(
    seed: int = 1, *, now: datetime | None = None, clock: SimClock | None = None, **size: int
) -> World:
    """Return a world drawn from a seed; it depends on seed, size and time only.

    Args:
        seed: Seed of all random draws.
        now: Time between past and future runs (aware); the clock's time by default.
        clock: Clock of the world; by default a running clock, set to `now` if given.
        **size: Fields of `WorldConfig`.

    Raises:
        ValueError: The size is not valid.
    """
    config = WorldConfig(**size)
    clock = clock or SimClock(now)
    now = now or clock.now()
    # Accounts are older than the first run, independently of the clock of the world.
    founded = SimClock.frozen_at(now - timedelta(days=config.days + 90))
    generator = WorldGenerator(World(founded), config, seed, to_seconds(now))
    generator.add_accounts()
    generator.add_runs()
    generator.world.clock = clock
    return generator.world
