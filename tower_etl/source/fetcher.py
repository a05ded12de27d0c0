"""Everything that goes on in threads: listings and runs, several at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tower_etl.errors import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    ServerFaultError,
    UnreachableError,
)
from tower_etl.http import BudgetClosedError
from tower_etl.source.listing import list_window
from tower_etl.source.stream import iter_in_order
from tower_etl.source.visits import fetch_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tower_etl.api import TowerClient
    from tower_etl.source.launches import Launches
    from tower_etl.source.listing import Listing
    from tower_etl.source.parcels import Parcel
    from tower_etl.source.planning import Work
    from tower_etl.source.preflight import Workspace
    from tower_etl.sync import Visit, Window

Asked = TypeVar("Asked")
Done = TypeVar("Done")
Failure = ApiError | BudgetClosedError

_DOUBTED_ATTEMPTS = 2  # tries of a call where the last fetches failed: one answer may be bad luck
_LOOK_AHEAD = 2  # runs under way per worker
_GRACE_SECONDS = 10.0
_SHOWN_CHARS = 300


@dataclass(frozen=True)
class Errand:
    """A run to fetch for a workspace or, without one, the end of that workspace."""

    work: Work
    visit: Visit | None = None


@dataclass(frozen=True)
class Arrival:
    """What came of an errand: a run, None if it is gone (or for the end), or why it failed."""

    errand: Errand
    result: Parcel | Failure | None


class Fetcher:
    """Fetches in threads. What fails comes back as a value: one failure does not stop the others.

    Once the server has gone silent altogether, everything after it fails at once, instead of each
    call waiting for its own time-outs.

    Attributes:
        launches: What adds the launch to a run, None where launches are not wanted.
    """

    def __init__(self, client: TowerClient, wanted: frozenset[str], workers: int) -> None:
        self._client = client
        self._doubted_client = client.with_attempts(_DOUBTED_ATTEMPTS)
        self._doubted: set[str] = set()
        self._wanted = wanted
        self._ahead = workers * _LOOK_AHEAD
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")
        self._dead: ApiError | None = None
        self._failed: set[str] = set()
        self.launches: Launches | None = None
        self._stopping = False
        self._deadline: threading.Timer | None = None

    def list_all(
        self, asked: Iterable[tuple[Workspace, Window]]
    ) -> Iterator[tuple[Workspace, Listing | Failure]]:
        """The listing of each workspace, in order."""

        def work(item: tuple[Workspace, Window]) -> tuple[Workspace, Listing | Failure]:
            workspace, window = item
            return workspace, self.guard(lambda: list_window(self._client, workspace, window))

        return self._pool.map(work, list(asked))

    def run_all(self, work: Callable[[Asked], Done], asked: Iterable[Asked]) -> list[Done]:
        """What `work` gives for each of what is asked, in order, several at a time."""
        return list(self._pool.map(work, list(asked)))

    def iter_arrivals(self, works: Iterable[Work]) -> Iterator[Arrival]:
        """The runs of all plans, each workspace followed by its end, in order."""
        errands = (Errand(work, visit) for work in works for visit in (*work.plan.visits, None))
        return iter_in_order(self._pool, self._run, errands, self._ahead)

    def skip(self, workspace: Workspace) -> None:
        """Fetch no more for a workspace that failed."""
        self._failed.add(workspace.key)

    def set_doubt(self, workspace: Workspace, *, doubted: bool) -> None:
        """Retry the calls of a workspace less, where most of them fail, or as usual again."""
        (self._doubted.add if doubted else self._doubted.discard)(workspace.key)

    def check_workspace(self, workspace: Workspace) -> Failure | None:
        """Return None if a workspace answers, otherwise why it does not."""
        return self.guard(lambda: self._client.check_listing(workspace.id))

    def stop(self) -> None:
        """Start nothing more; runs under way are finished, if that takes no longer than a while."""
        self._stopping = True
        self._deadline = threading.Timer(_GRACE_SECONDS, self._client.transport.budget.close)
        self._deadline.daemon = True
        self._deadline.start()

    def close(self) -> None:
        """Let go: what is waiting is dropped, what is under way ends with its call."""
        if self._deadline:
            self._deadline.cancel()
        self._client.transport.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, errand: Errand) -> Arrival:
        workspace, visit = errand.work.workspace, errand.visit
        if visit is None or workspace.key in self._failed:
            return Arrival(errand, None)
        return Arrival(
            errand,
            self.guard(lambda: self._fetch_run(workspace, visit)),
        )

    def _fetch_run(self, workspace: Workspace, visit: Visit) -> Parcel | None:
        doubted = visit.retry or workspace.key in self._doubted
        client = self._doubted_client if doubted else self._client
        parcel = fetch_run(client, workspace, visit, self._wanted, self._pool)
        if parcel and self.launches:
            return self.launches.complete(parcel, workspace.id)
        return parcel

    def finds(self, workspace: Workspace, run_id: str) -> bool:
        """Whether a run that the listing lacks answers when it is asked for."""
        found = self.guard(lambda: self._client.describe_run(workspace.id, run_id))
        return not isinstance(found, ForbiddenError | NotFoundError)

    def guard(self, work: Callable[[], Done]) -> Done | Failure:
        """What `work` gives, or why it failed, as a value."""
        if self._stopping:
            return BudgetClosedError()
        if self._dead:
            return self._dead
        found = take_value(work)
        if isinstance(found, UnreachableError):
            self._dead = self._dead or self._probe(found)
        return found

    def _probe(self, error: ApiError) -> ApiError | None:
        """The error, if the server does not even say its version any more (API fact 11)."""
        try:
            self._client.fetch_service_info()
        except (ApiError, BudgetClosedError):
            return error
        return None


def take_value(work: Callable[[], Done]) -> Done | Failure:
    """What `work` gives, or why it failed, as a value."""
    try:
        return work()
    except (ApiError, BudgetClosedError) as error:
        return error
    except Exception as error:  # noqa: BLE001 an answer that nobody foresaw fails its run alone
        msg = f"an answer could not be understood ({type(error).__name__}: {error})"
        return ServerFaultError(msg[:_SHOWN_CHARS])
