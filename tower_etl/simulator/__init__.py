"""Simulator of Seqera Platform's API, served on loopback for tests and the demo."""

from tower_etl.simulator.api_versions import Quirks, ServerProfile
from tower_etl.simulator.app import DEMO_TOKEN, Simulator
from tower_etl.simulator.bill import write_bill
from tower_etl.simulator.calls import NO_LIMIT, Call, RateLimit, peak_calls_per_second
from tower_etl.simulator.clock import SimClock
from tower_etl.simulator.events import World
from tower_etl.simulator.faults import DEFAULT_MIX, Fault, FaultPlan
from tower_etl.simulator.generator.world import build_world
from tower_etl.simulator.replay import load_runs
from tower_etl.simulator.server import run_forever, serve

__all__ = [
    "DEFAULT_MIX",
    "DEMO_TOKEN",
    "NO_LIMIT",
    "Call",
    "Fault",
    "FaultPlan",
    "Quirks",
    "RateLimit",
    "ServerProfile",
    "SimClock",
    "Simulator",
    "World",
    "build_world",
    "load_runs",
    "peak_calls_per_second",
    "run_forever",
    "serve",
    "write_bill",
]
