"""Serve one simulated platform at a time, and open sync sessions with minimal retry delays."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tower_etl.api import TowerClient
from tower_etl.clock import Clock
from tower_etl.config.settings import (
    HttpSettings,
    PrivacySettings,
    Settings,
    SyncOptions,
    Token,
)
from tower_etl.extract.discovery import discover
from tower_etl.http import RetryPolicy
from tower_etl.simulator import (
    DEMO_TOKEN,
    FaultPlan,
    Simulator,
    World,
)
from tower_etl.source import open_client, open_session, select_command_tables

if TYPE_CHECKING:
    from tower_etl.extract.session import SyncSession
    from tower_etl.simulator import ServerProfile, SimClock

TEAM = 77
QUICK = RetryPolicy(base_delay_seconds=0.0005, max_delay_seconds=0.001)


class SwappableApp:
    """Pass calls to the simulator of the current test; an ASGI application.

    Attributes:
        simulator: The current simulator.
    """

    def __init__(self) -> None:
        self.simulator = Simulator(World(), limit=None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the event to the current simulator."""
        await self.simulator(scope, receive, send)


@dataclass
class SimulatedPlatform:
    """Combine a world, the simulator that serves it, and sync sessions that read it.

    Attributes:
        url: The address of the server.
        world: The world that responses are built from.
        simulator: The simulator that serves the world.
        read_seconds: The time limit for a response.
    """

    url: str
    world: World
    simulator: Simulator
    read_seconds: float = 60.0

    @classmethod
    def start(
        cls,
        url: str,
        swappable_app: SwappableApp,
        world: World,
        profile: ServerProfile | None = None,
    ) -> SimulatedPlatform:
        """Serve the world at the address of the swappable app."""
        swappable_app.simulator = Simulator(world, limit=None, faults=FaultPlan(), profile=profile)
        return cls(url, world, swappable_app.simulator)

    @property
    def clock(self) -> Clock:
        """Return the clock of the world, so that time that passes in it passes for the sync."""
        return Clock(now=self.world.clock.now, sleep=time.sleep)

    def open_session(self, **request: Any) -> SyncSession:
        """Open a sync session that is ready to be loaded."""
        tables = select_command_tables(request.pop("tables", ()))
        privacy = request.pop("privacy", PrivacySettings())
        settings = Settings(
            self.url,
            Token(DEMO_TOKEN),
            options=SyncOptions(tables=tables, **request),
            http=HttpSettings(None, workers=4, read_seconds=self.read_seconds),
            privacy=privacy,
        )
        client = open_client(settings, self.clock)
        client = TowerClient(replace(client.http, policy=QUICK))
        discovery = discover(client, settings.options.workspaces)
        return open_session(settings, client, discovery, self.clock)

    def count_calls(self) -> int:
        """Return the number of calls received so far."""
        return len(self.simulator.calls)


def make_world(clock: SimClock) -> World:
    """Build a world without runs.

    It has a personal workspace, and an organization with a team and two workspaces with a label
    each.
    """
    world = World(clock)
    org = world.add_organization("acme")
    for name in ("research", "clinic"):
        world.create_label(world.add_workspace(org, name), name)
    world.add_entity("teams", org, teamId=TEAM, name="platform", membersCount=0)
    return world
