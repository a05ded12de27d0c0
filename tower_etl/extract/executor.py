"""Everything that goes on in threads: listings and runs, several at a time."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tower_etl.errors import (
    ApiConnectionError,
    ApiError,
    ForbiddenError,
    MalformedResponseError,
    NotFoundError,
)
from tower_etl.extract.failures import capture_failure
from tower_etl.extract.listing import list_runs
from tower_etl.extract.runs import fetch_run
from tower_etl.http import RateLimiterClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

    from tower_etl.api import TowerClient
    from tower_etl.extract.batch import FetchedRun
    from tower_etl.extract.discovery import Workspace
    from tower_etl.extract.failures import Failure
    from tower_etl.extract.listing import RunListing
    from tower_etl.extract.on_demand import LaunchLoader
    from tower_etl.extract.planning import WorkspaceSync
    from tower_etl.sync import ListingWindow, RunFetch

RequestT = TypeVar("RequestT")
Done = TypeVar("Done")

_PROBE_ATTEMPTS = 2  # tries of a call where the last fetches failed: one answer may be bad luck
_PREFETCH_PER_WORKER = 2  # runs under way per worker
_SHUTDOWN_SECONDS = 10.0


@dataclass(frozen=True)
class QueuedFetch:
    """A run to fetch for a workspace or, without one, the end of that workspace."""

    work: WorkspaceSync
    run_fetch: RunFetch | None = None


@dataclass(frozen=True)
class RunResult:
    """What came of an errand: a run, None if it is gone (or for the end), or why it failed."""

    errand: QueuedFetch
    result: FetchedRun | Failure | None


class FetchExecutor:
    """Fetches in threads. What fails comes back as a value: one failure does not stop the others.

    Once the server has gone silent altogether, everything after it fails at once, instead of each
    call waiting for its own time-outs.

    Attributes:
        launches: What adds the launch to a run, None where launches are not wanted.
    """

    def __init__(self, client: TowerClient, wanted: frozenset[str], workers: int) -> None:
        self._client = client
        self._probe_client = client.with_attempts(_PROBE_ATTEMPTS)
        self._fail_fast: set[str] = set()
        self._tables = wanted
        self._ahead = workers * _PREFETCH_PER_WORKER
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")
        self._circuit_open: ApiError | None = None
        self._failed: set[str] = set()
        self.launches: LaunchLoader | None = None
        self._stopping = False
        self._deadline: threading.Timer | None = None

    def list_runs(
        self, asked: Iterable[tuple[Workspace, ListingWindow]]
    ) -> Iterator[tuple[Workspace, RunListing | Failure]]:
        """The listing of each workspace, in order."""

        def work(item: tuple[Workspace, ListingWindow]) -> tuple[Workspace, RunListing | Failure]:
            workspace, window = item
            return workspace, self.capture_error(lambda: list_runs(self._client, workspace, window))

        return self._pool.map(work, list(asked))

    def map(self, work: Callable[[RequestT], Done], asked: Iterable[RequestT]) -> list[Done]:
        """What `work` gives for each of what is asked, in order, several at a time."""
        return list(self._pool.map(work, list(asked)))

    def iter_results(self, works: Iterable[WorkspaceSync]) -> Iterator[RunResult]:
        """The runs of all plans, each workspace followed by its end, in order."""
        errands = (
            QueuedFetch(work, run_fetch)
            for work in works
            for run_fetch in (*work.plan.fetches, None)
        )
        return map_ordered(self._pool, self._run, errands, self._ahead)

    def cancel_workspace(self, workspace: Workspace) -> None:
        """Fetch no more for a workspace that failed."""
        self._failed.add(workspace.key)

    def set_fail_fast(self, workspace: Workspace, *, doubted: bool) -> None:
        """Retry the calls of a workspace less, where most of them fail, or as usual again."""
        (self._fail_fast.add if doubted else self._fail_fast.discard)(workspace.key)

    def check_workspace(self, workspace: Workspace) -> Failure | None:
        """Return None if a workspace answers, otherwise why it does not."""
        return self.capture_error(lambda: self._client.check_listing(workspace.id))

    def stop(self) -> None:
        """Start nothing more; runs under way are finished, if that takes no longer than a while."""
        self._stopping = True
        self._deadline = threading.Timer(_SHUTDOWN_SECONDS, self._client.http.rate_limiter.close)
        self._deadline.daemon = True
        self._deadline.start()

    def close(self) -> None:
        """Let go: what is waiting is dropped, what is under way ends with its call."""
        if self._deadline:
            self._deadline.cancel()
        self._client.http.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, errand: QueuedFetch) -> RunResult:
        workspace, run_fetch = errand.work.workspace, errand.run_fetch
        if run_fetch is None or workspace.key in self._failed:
            return RunResult(errand, None)
        return RunResult(
            errand,
            self.capture_error(lambda: self._fetch_run(workspace, run_fetch)),
        )

    def _fetch_run(self, workspace: Workspace, run_fetch: RunFetch) -> FetchedRun | None:
        doubted = run_fetch.retry or workspace.key in self._fail_fast
        client = self._probe_client if doubted else self._client
        fetched = fetch_run(client, workspace, run_fetch, self._tables, self._pool)
        if fetched and self.launches:
            return self.launches.attach(fetched, workspace.id)
        return fetched

    def run_exists(self, workspace: Workspace, run_id: str) -> bool:
        """Whether a run that the listing lacks answers when it is asked for."""
        found = self.capture_error(lambda: self._client.get_run(workspace.id, run_id))
        return not isinstance(found, ForbiddenError | NotFoundError)

    def capture_error(self, work: Callable[[], Done]) -> Done | Failure:
        """What `work` gives, or why it failed, as a value."""
        if self._stopping:
            return RateLimiterClosedError()
        if self._circuit_open:
            return self._circuit_open
        found = capture_failure(work)
        if isinstance(found, ApiConnectionError):
            self._circuit_open = self._circuit_open or self._probe(found)
        return found

    def _probe(self, error: ApiError) -> ApiError | None:
        """The error, if the server does not even say its version any more (API fact 11)."""
        try:
            self._client.get_service_info()
        except MalformedResponseError:
            return None
        except (ApiError, RateLimiterClosedError):
            return error
        return None


ResultT = TypeVar("ResultT")


def map_ordered(
    pool: Executor, work: Callable[[RequestT], ResultT], asked: Iterable[RequestT], ahead: int
) -> Iterator[ResultT]:
    """Results in the order of `asked`, at most `ahead` of them fetched before they are taken.

    Work goes on between two results, so that fetching goes on while the rows of earlier ones are
    loaded. What `work` raises is raised at its place in the order.
    """
    under_way: deque[Future[ResultT]] = deque()
    source = iter(asked)
    try:
        while True:
            for item in source:
                under_way.append(pool.submit(work, item))
                if len(under_way) >= ahead:
                    break
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
