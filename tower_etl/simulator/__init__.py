"""A Tower API of our own, on loopback."""

from tower_etl.simulator.calls import Call, worst_second
from tower_etl.simulator.editions import ServerProfile
from tower_etl.simulator.faults import DEFAULT_MIX, Fault, FaultPlan
from tower_etl.simulator.limits import NO_LIMIT, RateLimit
from tower_etl.simulator.quirks import Quirks
from tower_etl.simulator.replay import load_runs
from tower_etl.simulator.seeding import build_world
from tower_etl.simulator.server import run_forever, serve
from tower_etl.simulator.simulator import DEMO_TOKEN, Simulator
from tower_etl.simulator.timeline import SimClock
from tower_etl.simulator.world import World

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
    "run_forever",
    "serve",
    "worst_second",
]
