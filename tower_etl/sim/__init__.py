"""A Tower API of our own, on loopback."""

from tower_etl.sim.calls import Call, worst_second
from tower_etl.sim.editions import ServerProfile
from tower_etl.sim.faults import DEFAULT_MIX, Fault, FaultPlan
from tower_etl.sim.limits import NO_LIMIT, RateLimit
from tower_etl.sim.quirks import Quirks
from tower_etl.sim.replay import load_runs
from tower_etl.sim.seeding import build_world
from tower_etl.sim.server import run_forever, serve
from tower_etl.sim.simulator import DEMO_TOKEN, Simulator
from tower_etl.sim.timeline import SimClock
from tower_etl.sim.world import World

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
