"""The seeded world: from one number to organisations, people, labels and years of runs."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tower_etl.simulator import catalog
from tower_etl.simulator.furniture import furnish
from tower_etl.simulator.seeded import SeededRun, TaskShelf
from tower_etl.simulator.specs import (
    RunSpec,
    count_samples,
    count_slots,
    draw_log_normal,
)
from tower_etl.simulator.timeline import SimClock, to_seconds
from tower_etl.simulator.world import World

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.simulator.catalog import Pipeline, Platform
    from tower_etl.simulator.directory import User

_DAY_S = 86_400
_HOUR_S = 3_600
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PERSONAL_SHARE = 0.03
_OUTCOMES = ("SUCCEEDED", "FAILED", "CANCELLED")
_OUTCOME_WEIGHTS = (78, 16, 6)
_RESUMED_SHARE = 0.55  # of the runs that went wrong
_COMMAND_LINE_SHARE = 0.15
_SILENT_SHARE = 0.03
_TASK_SIGMA = 0.8
_LONG_OPEN_S = 9 * _DAY_S
_SHORT_WALL_S = 240


@dataclass(frozen=True)
class WorldPlan:
    """How much of everything a seeded world has.

    Attributes:
        organizations: Organisations.
        workspaces: Workspaces over all of them; the personal one comes on top.
        runs: Runs submitted before now, open ones included.
        days: Over how many days before now they are spread; as many more days lie ahead.
        open_runs: Runs that are not final now.
        mean_tasks: Mean number of tasks of a run.
    """

    organizations: int = 2
    workspaces: int = 4
    runs: int = 200
    days: int = 30
    open_runs: int = 5
    mean_tasks: int = 60


@dataclass
class _Seeder:
    world: World
    plan: WorldPlan
    seed: int
    now_s: int
    shelf: TaskShelf = field(default_factory=TaskShelf)
    keys: list[int] = field(default_factory=list)
    broken: dict[int, list[RunSpec]] = field(default_factory=dict)
    number: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(f"world:{self.seed}")

    # --- who and where --------------------------------------------------------------------

    def furnish(self) -> None:
        """Organisations, workspaces, people and labels."""
        for name in catalog.PEOPLE:
            self.world.add_user(name)
        orgs = [
            self.world.add_organization(_name(catalog.ORGANIZATIONS, place))
            for place in range(self.plan.organizations)
        ]
        for place in range(self.plan.workspaces):
            name = _name(catalog.WORKSPACES, place)
            self.keys.append(self.world.add_workspace(orgs[place % len(orgs)], name))
        self.keys.append(self.world.find_key(None))
        for key in self.keys:
            for name, value in catalog.LABELS:
                self.world.create_label(key, name, value)
        furnish(self.world)

    # --- runs -----------------------------------------------------------------------------

    def populate(self) -> None:
        """Past runs, open runs, runs to come."""
        plan = self.plan
        past = plan.runs - plan.open_runs
        times = sorted(self._draw_past_s() for _ in range(past))
        for submit_s in times:
            self._add(self._draw(submit_s, latest_s=self.now_s - 60))
        for place in range(plan.open_runs):
            self._add(self._draw_open(place))
        ahead = sorted(self._draw_future_s() for _ in range(plan.runs))
        for submit_s in ahead:
            self._add(self._draw(submit_s))

    def _draw_past_s(self) -> int:
        span_s = self.plan.days * _DAY_S
        return self.now_s - 2 * _HOUR_S - int(self.rng.random() * (span_s - 2 * _HOUR_S))

    def _draw_future_s(self) -> int:
        return self.now_s + 60 + int(self.rng.random() * self.plan.days * _DAY_S)

    def _draw(self, submit_s: int, latest_s: int | None = None) -> RunSpec:
        """A run submitted then, complete by `latest_s` if that is given."""
        broken = self._find_broken(submit_s)
        spec = self._resume(broken, submit_s) if broken else self._originate(submit_s)
        if latest_s is not None and spec.final_s >= latest_s:
            complete_s = max(spec.start_s + 60, latest_s - 5)
            start_s = min(spec.start_s, complete_s - 60)
            spec = replace(spec, start_s=start_s, complete_s=complete_s, silence=None)
        return spec

    def _draw_open(self, place: int) -> RunSpec:
        """A run that is open now: one waits to start, one is old, the others are under way."""
        rng, now_s = self.rng, self.now_s
        age_s = rng.randrange(_HOUR_S, 12 * _HOUR_S)
        if place == 1 and self.plan.days * _DAY_S > _LONG_OPEN_S:
            age_s = _LONG_OPEN_S
        spec = self._originate(now_s - age_s, sync_result="SUCCEEDED" if place else None)
        complete_s = now_s + rng.randrange(600, 8 * _HOUR_S)
        if place == 0:
            latest_s = max(complete_s, now_s + 900)
            spec = replace(spec, submit_s=now_s - 90, start_s=now_s + 200, complete_s=latest_s)
            return replace(spec, silence=None)
        start_s = min(spec.start_s, now_s - 60)
        silence = (now_s - 300, now_s + 1800) if place == 2 else None  # noqa: PLR2004 - the third one
        return replace(spec, start_s=start_s, complete_s=complete_s, silence=silence)

    def _originate(self, submit_s: int, sync_result: str | None = None) -> RunSpec:
        """A run of its own."""
        rng = self.rng
        self.number += 1
        pipeline = rng.choices(catalog.PIPELINES, [p.popularity for p in catalog.PIPELINES])[0]
        key, platform = self._draw_place()
        tasks = _draw_tasks(rng, self.plan.mean_tasks)
        samples = count_samples(pipeline, tasks)
        user = self._draw_user(key)
        slots = min(count_slots(pipeline, samples), max(1, tasks))
        spec = RunSpec(
            number=self.number,
            id=_draw_id(rng),
            seed=f"run:{self.seed}:{self.number}",
            workspace_id=key,
            user_id=user.id,
            user_name=user.name,
            name=_draw_name(rng, self.number),
            pipeline=pipeline,
            revision=rng.choice(pipeline.revisions),
            platform=platform,
            spot=bool(platform.machines) and rng.random() < 0.7,  # noqa: PLR2004 - a share
            launch_id=None if rng.random() < _COMMAND_LINE_SHARE else _draw_id(rng, 22),
            session_id=_draw_session(rng),
            samples=samples,
            slots=slots,
            submit_s=submit_s,
            start_s=submit_s + 30 + int(draw_log_normal(rng, 90, 0.8)),
            complete_s=0,
            sync_result=sync_result or rng.choices(_OUTCOMES, _OUTCOME_WEIGHTS)[0],
        )
        return self._run_down(_cut_short(rng, spec))

    def _resume(self, broken: RunSpec, submit_s: int) -> RunSpec:
        """A run that takes up one that went wrong."""
        self.number += 1
        spec = replace(
            broken,
            number=self.number,
            id=_draw_id(self.rng),
            seed=f"run:{self.seed}:{self.number}",
            name=_draw_name(self.rng, self.number),
            slots=count_slots(broken.pipeline, broken.samples),
            submit_s=submit_s,
            start_s=submit_s + 30 + int(draw_log_normal(self.rng, 90, 0.8)),
            sync_result="SUCCEEDED",
            parent=broken,
            silence=None,
        )
        return self._run_down(spec)

    def _run_down(self, spec: RunSpec) -> RunSpec:
        """Give the run its end, and now and then a silence."""
        rng = self.rng
        share = spec.slots / count_slots(spec.pipeline, spec.samples)
        wall_s = int(_SHORT_WALL_S + share * _estimate_wall_s(spec.pipeline) * _draw_pace(rng))
        silence = None
        if rng.random() < _SILENT_SHARE:
            lost_s = spec.start_s + wall_s // 2
            silence = (lost_s, lost_s + wall_s // 5)
        return replace(spec, complete_s=spec.start_s + wall_s, silence=silence)

    def _find_broken(self, submit_s: int) -> RunSpec | None:
        for waiting in self.broken.values():
            if waiting and waiting[0].final_s + 300 < submit_s:
                return waiting.pop(0)
        return None

    def _draw_place(self) -> tuple[int, Platform]:
        if self.rng.random() < _PERSONAL_SHARE:
            return self.keys[-1], catalog.PLATFORMS[-1]
        place = min(int(self.rng.random() ** 1.6 * (len(self.keys) - 1)), len(self.keys) - 2)
        return self.keys[place], catalog.PLATFORMS[(place % 4) // 2 if place % 4 != 3 else 2]  # noqa: PLR2004 - four kinds

    def _draw_user(self, key: int) -> User:
        users = list(self.world.users.values())
        return users[0] if key < 0 else users[int(self.rng.random() ** 2 * len(users))]

    def _add(self, spec: RunSpec) -> None:
        labels = list(self.world.labels[spec.workspace_id])
        chosen = self.rng.sample(labels, self.rng.choice((0, 1, 1, 2, 3)))
        self.world.add_run(SeededRun(spec, self.shelf, tuple(sorted(chosen))))
        wrong = spec.sync_result != "SUCCEEDED" and spec.parent is None
        if wrong and self.rng.random() < _RESUMED_SHARE:
            self.broken.setdefault(spec.workspace_id, []).append(spec)


def _name(names: tuple[str, ...], place: int) -> str:
    around, place = divmod(place, len(names))
    return f"{names[place]}-{around + 1}" if around else names[place]


def _draw_id(rng: random.Random, length: int | None = None) -> str:
    return "".join(rng.choices(_ALPHABET, k=length or rng.choice((13, 14, 14, 14))))


def _draw_session(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-9{text[17:20]}-{text[20:]}"


def _draw_name(rng: random.Random, number: int) -> str:
    return f"{rng.choice(catalog.ADJECTIVES)}_{rng.choice(catalog.SURNAMES)}_{number}"


def _draw_tasks(rng: random.Random, mean: int) -> int:
    # The mean of a log-normal distribution is its median times exp(sigma squared / 2).
    return max(1, round(draw_log_normal(rng, mean / math.exp(_TASK_SIGMA**2 / 2), _TASK_SIGMA)))


def _draw_pace(rng: random.Random) -> float:
    return draw_log_normal(rng, 1.4, 0.45)


def _estimate_wall_s(pipeline: Pipeline) -> float:
    slowest: dict[int, float] = {}
    for process in pipeline.processes:
        slowest[process.stage] = max(slowest.get(process.stage, 0), process.minutes)
    return 60 * sum(slowest.values())


def _cut_short(rng: random.Random, spec: RunSpec) -> RunSpec:
    if spec.sync_result == "SUCCEEDED":
        return spec
    return replace(spec, slots=max(1, int(spec.slots * rng.uniform(0.1, 0.95))))


def build_world(  # noqa: PLR0913 - the plan of a world, each with a default
    seed: int = 1,
    *,
    now: datetime | None = None,
    clock: SimClock | None = None,
    organizations: int = 2,
    workspaces: int = 4,
    runs: int = 200,
    days: int = 30,
    open_runs: int = 5,
    mean_tasks: int = 60,
) -> World:
    """A world drawn from a seed: the same seed, plan and time give the same bytes.

    Args:
        seed: What everything is drawn from.
        now: The time between past and future runs (aware); the clock's time when left out.
        clock: Clock of the world; a running one when left out, set to `now` if that is given.
        organizations: Organisations.
        workspaces: Workspaces over all of them; the owner's personal one comes on top.
        runs: Runs submitted before now, open ones included.
        days: Over how many days they are spread; as many runs follow over as many days ahead.
        open_runs: Runs that are not final now.
        mean_tasks: Mean number of tasks of a run.

    Raises:
        ValueError: There are fewer runs than open runs, or no place to put them.
    """
    plan = WorldPlan(organizations, workspaces, runs, days, open_runs, mean_tasks)
    if not 0 <= open_runs <= runs or min(organizations, workspaces, days, mean_tasks) < 1:
        msg = f"A world needs at least one of everything, and no more open runs than runs: {plan}."
        raise ValueError(msg)
    clock = clock or SimClock(now)
    now = now or clock.now()
    # Everyone and every place is there before the first run, whatever the clock does meanwhile.
    founded = SimClock.frozen_at(now - timedelta(days=days + 90))
    seeder = _Seeder(World.empty(founded), plan, seed, to_seconds(now))
    seeder.furnish()
    seeder.populate()
    seeder.world.clock = clock
    return seeder.world
