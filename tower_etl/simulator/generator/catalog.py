"""Pipelines, platforms and names of generated worlds, read from the data files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.simulator.data import load_toml

if TYPE_CHECKING:
    from tower_etl.simulator.aggregates import Row

_ACCOUNTS = load_toml("accounts.toml")
_CATALOG = load_toml("pipelines.toml")


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a pipeline; `data/pipelines.toml` describes the columns."""

    name: str
    stage: int
    per_sample: bool
    cpus: int
    memory_gib: int
    time_h: int
    minutes: float
    cpu_utilization: float
    memory_utilization: float
    container: str
    gpus: int = 0


@dataclass(frozen=True)
class Pipeline:
    """A pipeline; `releases` are its revisions, oldest first, with the factor of run times."""

    name: str
    releases: dict[str, float]
    description: str
    author: str
    profile: str
    weight: int
    processes: tuple[Process, ...]

    @property
    def repository(self) -> str:
        """URL of the repository."""
        return f"https://github.com/{self.name}"

    @property
    def revisions(self) -> list[str]:
        """Revisions, oldest first."""
        return list(self.releases)


@dataclass(frozen=True)
class Machine:
    """A machine type with its prices, USD per hour."""

    name: str
    vcpus: int
    memory_gib: int
    gpus: int
    standard_usd: float
    spot_usd: float

    def fits(self, cpus: int, memory_gib: float, gpus: int) -> bool:
        """Return whether a task with this request fits on the machine."""
        enough = cpus <= self.vcpus and memory_gib <= self.memory_gib
        return enough and (gpus > 0) == (self.gpus > 0) and gpus <= self.gpus

    def cost_usd(self, cpus: int, memory_gib: float, seconds: float, *, spot: bool) -> float:
        """Return the platform's estimate for a task: the larger share, memory as whole vCPUs."""
        memory_vcpus = math.ceil(memory_gib / (self.memory_gib / self.vcpus))
        hourly_usd = self.spot_usd if spot else self.standard_usd
        return hourly_usd * max(cpus, memory_vcpus) / self.vcpus * seconds / 3600


@dataclass(frozen=True)
class Platform:
    """A computing platform; `data/accounts.toml` describes the fields."""

    id: str
    name: str
    executor: str
    queue: str
    region: str
    machines: tuple[Machine, ...]


def _process(row: Row, prefix: str) -> Process:
    image = row.pop("image")
    return Process(
        name=f"{prefix}:{row.pop('name')}",
        per_sample=row.pop("each") == "sample",
        container=f"quay.io/biocontainers/{image}",
        **row,
    )


def _pipeline(row: Row) -> Pipeline:
    prefix = row.pop("prefix")
    # The last column is optional.
    rows = [dict(zip(_CATALOG["columns"], values, strict=False)) for values in row["processes"]]
    return Pipeline(**row | {"processes": tuple(_process(process, prefix) for process in rows)})


def _platform(row: Row) -> Platform:
    return Platform(**row | {"machines": tuple(Machine(*values) for values in row["machines"])})


def _label(name: str, value: str | None = None) -> tuple[str, str | None]:
    return name, value


PIPELINES: tuple[Pipeline, ...] = tuple(_pipeline(row) for row in _CATALOG["pipelines"])
PLATFORMS: tuple[Platform, ...] = tuple(_platform(row) for row in _ACCOUNTS["platforms"])
ORGANIZATIONS: list[str] = _ACCOUNTS["organizations"]
WORKSPACES: list[str] = _ACCOUNTS["workspaces"]
USERS: list[str] = _ACCOUNTS["users"]
LABELS: list[tuple[str, str | None]] = [_label(*label) for label in _ACCOUNTS["labels"]]
ADJECTIVES: list[str] = _ACCOUNTS["adjectives"]
SURNAMES: list[str] = _ACCOUNTS["surnames"]
