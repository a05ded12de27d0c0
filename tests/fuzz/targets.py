"""Fuzz trials: each corrupts an input by a seed and asserts what must hold."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, cast

import orjson

from tests.fuzz.mutators import corrupt, corrupt_bytes, load_bodies
from tests.run_tables import build_run
from tests.semantics.expected import list_visible_runs
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.api import (
    Page,
    PaginationStats,
    TotalCheck,
    TowerClient,
    paginate_append_only,
    paginate_descending,
    run_key,
    split_keyed,
)
from tower_etl.api.pagination import limit_items
from tower_etl.api.task_pages import fetch_stable_list, paginate_around_known
from tower_etl.config.settings import (
    HttpSettings,
    PackageLimits,
    Settings,
    SyncOptions,
    Token,
)
from tower_etl.errors import ApiError, ServerError, TowerEtlError
from tower_etl.extract.discovery import discover
from tower_etl.extract.listing import parse_listed_run
from tower_etl.http import RetryPolicy
from tower_etl.http.responses import parse_object
from tower_etl.lossless import read_json, to_json
from tower_etl.schema import TABLES
from tower_etl.simulator import DEMO_TOKEN, SimClock
from tower_etl.source import open_client, open_session, select_command_tables
from tower_etl.sync import (
    RunSummary,
    StoredRun,
    TaskRange,
    WorkspaceState,
    complete_workspace,
    dump_coverage,
    dump_state,
    load_coverage,
    load_state,
    mark_run_failed,
    mark_run_loaded,
    plan_incremental,
    plan_listing,
    plan_reconciliation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.semantics.platform import SwappableApp
    from tower_etl.extract.session import SyncSession
    from tower_etl.http import JsonHttpClient

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
_MOST_ITEMS = 3_000


def try_bytes(seed: int) -> None:
    """Assert that corrupted bytes give an object or an API error."""
    rng = Random(seed)
    bodies = load_bodies()
    body = orjson.dumps(rng.choice(bodies[rng.choice(sorted(bodies))]))
    status = rng.choice([200, 200, 200, 204, 302, 400, 401, 403, 404, 429, 500, 599])
    headers = {"Content-Type": rng.choice(["", "text/html", ";"]), "Retry-After": rng.choice("0x")}
    with contextlib.suppress(ApiError):
        assert isinstance(parse_object(status, headers, corrupt_bytes(body, rng), "GET /x"), dict)


def try_walk(seed: int) -> None:
    """Assert that walks over random pages end, and report each item that they give twice."""
    rng = Random(seed)
    discovery = rng.choice([1, 3, 150, 1_000])

    def fetch(offset: int) -> Page:
        size = rng.choice([0, 1, 2, 50, 99, 100, 100, 100, 101, 500])
        first = rng.choice([offset, offset - 1, rng.randrange(discovery), 0])
        ids = range(first, first + size) if rng.random() < 0.8 else [first] * size
        total = rng.choice([None, 1, offset + size, 10**12])
        count = rng.choice([None, None, offset + size + 1, 345])
        asked = rng.choice([100, 100, 50, None])
        items: list[Any] = [{"id": number} for number in ids]
        return Page(items, total, rng.choice([None, True, False]), count, asked)

    def key(item: Mapping[str, Any]) -> int:
        return int(item["id"])

    def walk_side_by_side(total_check: TotalCheck) -> list[list[Any]]:
        bounded, make = limit_items(_MOST_ITEMS, fetch), list[list[Any]]
        with ThreadPoolExecutor(2) as pool:
            return fetch_stable_list(bounded, key, make, pool, total_check) or []

    def walk_around_some(total_check: TotalCheck) -> list[list[Any]]:
        known = [TaskRange(start, start + 90, start, start + 89) for start in (1, 150, 400)]
        found = paginate_around_known(limit_items(_MOST_ITEMS, fetch), key, known, total_check)
        return [[item for _, item in found or ()]]

    walks: tuple[Callable[[TotalCheck], list[list[Any]]], ...] = (
        walk_side_by_side,
        walk_around_some,
        lambda _: list(
            paginate_descending(limit_items(_MOST_ITEMS, fetch), key, PaginationStats())
        ),
        lambda total_check: paginate_append_only(
            limit_items(_MOST_ITEMS, fetch), key, list[list[Any]], total_check
        ),
    )
    for walk in walks:
        with contextlib.suppress(ServerError):
            total_check = TotalCheck(least=rng.choice([0, 0, 250]))
            seen = Counter(key(item) for page in walk(total_check) for item in page)
            assert {number for number, times in seen.items() if times > 1} <= total_check.repeated


def try_tables(seed: int) -> None:
    """Assert that a corrupted run gives valid rows with unique keys, or a server error."""
    rng = Random(seed)
    bodies = load_bodies()
    parts = {name: rng.choice(bodies[name]) for name in ("run", "tasks", "metrics")}
    for name in rng.sample(sorted(parts), rng.randint(1, 3)):
        parts[name] = corrupt(parts[name], rng)
    described, tasks, metrics = (x if isinstance(x, dict) else {} for x in parts.values())
    with contextlib.suppress(ServerError):
        built = build_run(
            described,
            workspace_id=rng.choice([None, 7]),
            starred=rng.choice([None, True]),
            tasks=[tasks.get("tasks")],
            metrics=metrics.get("metrics"),
        )
        for name, rows in built.items():
            assert rows.schema == TABLES[name].arrow_schema
            rows.validate(full=True)
            keys = [tuple(row[column] for column in TABLES[name].key) for row in rows.to_pylist()]
            assert len(keys) == len(set(keys))
            assert not any(part is None for key in keys for part in key)


def try_plan(seed: int) -> None:
    """Assert that corrupted listings are planned and no listed run is lost.

    The state must also survive its conversion to JSON.
    """
    rng = Random(seed)
    pages = [corrupt(body, rng) for body in rng.choices(load_bodies()["workflow"], k=3)]
    tower = TowerClient(cast("JsonHttpClient", CannedTransport(pages)))
    request = SyncOptions(tables=frozenset({"workflows", "tasks"}))
    state, stored, now = WorkspaceState(), dict[str, StoredRun](), START
    for _ in pages:
        now += timedelta(hours=rng.choice([0, 1, 30]))
        window = plan_listing(state, request, now)
        try:
            found = [
                element for page in tower.iter_run_pages(1, PaginationStats()) for element in page
            ]
        except ServerError:
            continue
        listed = [parse_listed_run(element) for element in split_keyed(found, run_key)[0]]
        plan = (
            plan_reconciliation(state, listed, stored, request, now)
            if window.is_full
            else plan_incremental(state, listed, request, now)
        )
        # The next full listing includes these runs.
        given_up = state.open.keys() - plan.initial_state.open.keys()
        state = plan.initial_state
        for run_fetch in plan.fetches:
            if rng.random() < 0.2:
                state = mark_run_failed(state, run_fetch, "it failed", now)
                continue
            summary = RunSummary(
                run_fetch, rng.choice(["SUCCEEDED", "RUNNING", None]), run_fetch.submit
            )
            state = mark_run_loaded(state, summary, request.open_run_max_age, now)
            stored[run_fetch.run_id] = StoredRun(run_fetch.submit, summary.status)
        state = complete_workspace(state, plan, now)
        followed = stored.keys() | state.open.keys() | state.failed.keys()
        lost = {run.run_id for run in listed} - followed - given_up
        assert not lost
        stored_state = load_state(orjson.loads(orjson.dumps(dump_state(state))))
        assert replace(stored_state, tables=state.tables) == state
        dumped = {name: dump_coverage(held) for name, held in state.tables.items()}
        loaded = orjson.loads(orjson.dumps(dumped))
        assert {name: load_coverage(held) for name, held in loaded.items()} == state.tables


class CannedTransport:
    """A transport that returns given responses in order, the last one repeatedly."""

    policy = RetryPolicy()

    def with_policy(self, _policy: RetryPolicy) -> CannedTransport:
        """Return the transport itself: nothing is retried."""
        return self

    def __init__(self, answers: list[Any]) -> None:
        self._answers = list(answers)

    def get(self, *_: object, **__: object) -> dict[str, Any]:
        """Return the next response, or raise the error of the real transport."""
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, dict):
            return answer
        msg = "no JSON object"
        raise ServerError(msg)


class CorruptingTransport:
    """A transport that corrupts a share of the responses of the real one, by a seed.

    Each response is requested once and kept, because the world does not change.
    """

    def __init__(self, inner: JsonHttpClient, kept: dict[str, Any], seed: int, rate: float) -> None:
        self._inner = inner
        self._kept = kept
        self._seed = seed
        self._rate = rate
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def with_policy(self, _policy: RetryPolicy) -> CorruptingTransport:
        """Return the transport itself: a retry would get the same response."""
        return self

    def get(self, path: str, params: Any = None) -> dict[str, Any]:
        """Return the response of a request, corrupted or not."""
        call = f"{path}?{sorted((params or {}).items())}"
        with self._lock:
            if call not in self._kept:
                self._kept[call] = self._inner.get(path, params)
        answer: Any = copy.deepcopy(self._kept[call])
        rng = Random(f"{self._seed} {call}")
        if rng.random() < self._rate:
            answer = _send(corrupt(answer, rng))
        if isinstance(answer, dict):
            return answer
        msg = "no JSON object"
        raise ServerError(msg)


def _send(answer: Any) -> Any:
    """Return a response as the client reads it; raise ServerError if its nesting is too deep."""
    try:
        return read_json(to_json(answer).encode())[0]
    except ValueError as error:
        raise ServerError(str(error)) from error


class SyncTrial:
    """A platform that is synced once without faults, and then with corrupted responses."""

    def __init__(self, url: str, board: SwappableApp) -> None:
        world = make_world(SimClock.frozen_at(START - timedelta(days=1)))
        space = max(place.key for place in world.workspaces.values())
        for number in range(4):
            run_id = world.submit_run(space)
            world.start_run(run_id)
            world.finish_task(run_id, world.add_task(run_id))
            if number:
                world.finish_run(run_id)
        self._platform = SimulatedPlatform.start(url, board, world)
        self._kept: dict[str, Any] = {}
        self._good = InMemoryDestination()
        self._sync(self._good, 0, 0.0)

    def __call__(self, seed: int) -> None:
        """Sync with corrupted responses, then without.

        The first sync must lose no run, and the second one must show every run of the platform.
        """
        warehouse = copy.deepcopy(self._good)
        rate = Random(seed).choice([0.05, 0.3, 1.0])
        with contextlib.suppress(TowerEtlError):
            self._sync(warehouse, seed, rate, reconcile=seed % 2 == 0)
        assert self._good.tables["workflows"].keys() <= warehouse.tables["workflows"].keys()
        orjson.dumps(warehouse.state)
        session = self._sync(warehouse, 0, 0.0, reconcile=True)
        assert session.sync_result.status in {"ok", "partial"}
        rows = {key[0]: row for key, row in warehouse.tables["workflows"].items()}
        shown = list_visible_runs(self._platform.world)
        assert {run_id for run_id in shown if rows[run_id]["missing_since"] is None} == set(shown)

    def _sync(
        self, warehouse: InMemoryDestination, seed: int, rate: float, *, reconcile: bool = False
    ) -> SyncSession:
        wanted = SyncOptions(tables=select_command_tables(()), reconcile=reconcile)
        settings = Settings(
            self._platform.url,
            Token(DEMO_TOKEN),
            options=wanted,
            http=HttpSettings(None, workers=2),
        )
        client = open_client(settings, self._platform.clock)
        spoiling = CorruptingTransport(client.http, self._kept, seed, rate)
        client = TowerClient(cast("JsonHttpClient", spoiling))
        with contextlib.closing(client.http):
            session = open_session(settings, client, discover(client, ()), self._platform.clock)
            try:
                warehouse.load(session, PackageLimits())
            finally:
                session.close()
        return session
