"""Data of the report on tasks: cost and time, requests, machines, waits and failures.

Units and names are those of `tower_etl.report.data`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Waste:
    """Cost of a group of runs or tasks and its wasted parts; the rest of the cost was useful."""

    cost_usd: float | None
    retried_usd: float | None
    lost_usd: float | None
    staging_usd: float | None
    escalated_usd: float | None
    over_requested_usd: float | None


@dataclass(frozen=True, kw_only=True)
class TaskTime:
    """Task time in exclusive parts, in hours."""

    wait_hours: float | None
    kept_staged_hours: float | None
    kept_run_hours: float | None
    retried_hours: float | None


@dataclass(frozen=True, kw_only=True)
class Process(Waste, TaskTime):
    """Cost and time of a process.

    Attributes:
        staged_hours: Time outside the command, including retried attempts.
        staged_share: Share of staging in the time from start to end, from 0 to 1.
    """

    process: str
    tasks: int
    cpu_hours: float | None
    staged_hours: float | None
    staged_share: float | None


@dataclass(frozen=True)
class MemoryRequest:
    """Process whose memory request should change, or should not grow after a spot loss.

    Attributes:
        spot_escalated_usd: Cost of requests that grew after the loss of a spot machine.
    """

    process: str
    tasks: int
    runs: int
    weak: bool
    requested_gib: float | None
    lowest_requested_gib: float | None
    requested_cpus: int | None
    lowest_requested_cpus: int | None
    most_used_gib: float | None
    recommended_gib: int | None
    killed_tasks: int
    grown_tasks: int
    spot_grown_tasks: int
    saves_gib_hours: float | None
    saves_at_least_usd: float | None
    saves_at_most_usd: float | None
    spot_escalated_usd: float | None


@dataclass(frozen=True)
class IdleCpus:
    """Process that uses few of its requested CPUs."""

    process: str
    tasks: int
    runs: int
    weak: bool
    requested_cpus: float
    used_cpus: float
    recommended_cpus: float | None
    efficiency: float
    idle_cpu_hours: float
    saves_at_least_usd: float | None
    saves_at_most_usd: float | None


@dataclass(frozen=True)
class IdleGpus:
    """Accelerators of all processes, and the cost of their idle time."""

    processes: int
    gpu_hours: float | None
    idle_usd: float | None


@dataclass(frozen=True)
class PriceModel:
    """Cost and interruptions of spot or standard machines."""

    price_model: str
    tasks: int
    cpu_hours: float | None
    cost_usd: float | None
    usd_per_cpu_hour: float | None
    usd_per_billed_vcpu_hour: float | None
    interrupted_tasks: int | None
    lost_usd: float | None
    escalated_usd: float | None


@dataclass(frozen=True)
class MachineType:
    """Machine type in all zones, with the price of a billed vCPU hour on spot and at standard."""

    machine_type: str
    tasks: int
    cpu_hours: float | None
    cost_usd: float | None
    spot_usd_per_billed_vcpu_hour: float | None
    standard_usd_per_billed_vcpu_hour: float | None


@dataclass(frozen=True)
class QueueWait:
    """Waits of the tasks of a compute environment."""

    compute_env: str
    queue: str
    tasks: int
    median_minutes: float | None
    p95_minutes: float | None
    longest_minutes: float | None
    waited_hours: float | None


@dataclass(frozen=True)
class FailureReason:
    """Failed tasks of all processes by exit code."""

    exit_code: str
    meaning: str
    processes: int
    worst_process: str
    failed_tasks: int
    retried_tasks: int


@dataclass(frozen=True)
class FailureMessage:
    """Error message of runs, with its names and numbers replaced."""

    message: str
    times: int
    runs: int
    last_at: datetime | None
    example: str


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """Data of the report about tasks.

    Attributes:
        staged: Processes with most staging.
        advice: Processes whose requests should change, or not grow on a retry.
    """

    time: TaskTime
    processes: tuple[Process, ...]
    staged: tuple[Process, ...]
    memory: tuple[MemoryRequest, ...]
    advice: tuple[MemoryRequest, ...]
    idle: tuple[IdleCpus, ...]
    gpus: IdleGpus
    price_models: tuple[PriceModel, ...]
    machines: tuple[MachineType, ...]
    waits: tuple[QueueWait, ...]
    reasons: tuple[FailureReason, ...]
    messages: tuple[FailureMessage, ...]
