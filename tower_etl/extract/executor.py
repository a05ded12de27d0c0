"""Concurrent execution of requests: listings, runs and reference data in a thread pool."""

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
    SyncStoppedError,
)
from tower_etl.extract.failures import capture_failure
from tower_etl.extract.listing import list_runs
from tower_etl.extract.runs import fetch_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

    from tower_etl.api import TowerClient
    from tower_etl.extract.batch import FetchedRun
    from tower_etl.extract.discovery import Workspace
    from tower_etl.extract.failures import Failure
    from tower_etl.extract.launches import LaunchLoader
    from tower_etl.extract.listing import RunListing
    from tower_etl.extract.result import WorkspaceSync
    from tower_etl.sync import ListingWindow, RunFetch

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")

_FAIL_FAST_ATTEMPTS = 2  # attempts per call while fetches fail: one failure may be a coincidence
_PREFETCH_PER_WORKER = 2  # runs in progress per worker
_SHUTDOWN_SECONDS = 10.0


@dataclass(frozen=True)
class RunResult:
    """Result of one fetch.

    Attributes:
        workspace_sync: Sync of the workspace.
        run_fetch: Fetch that was made.
        outcome: Fetched run, None if it was deleted, or the failure.
    """

    workspace_sync: WorkspaceSync
    run_fetch: RunFetch
    outcome: FetchedRun | Failure | None


@dataclass(frozen=True)
class WorkspaceEnd:
    """Marker after the results of a workspace, and in place of each run of an aborted one."""

    workspace_sync: WorkspaceSync


Result = RunResult | WorkspaceEnd


class FetchExecutor:
    """Thread pool for requests. Failures are returned as values and do not stop other requests.

    A circuit breaker opens when the server does not respond at all: all later requests fail
    immediately, instead of each waiting for its time-out.

    Attributes:
        client: Client of the platform.
    """

    def __init__(self, client: TowerClient, selected: frozenset[str], workers: int) -> None:
        self.client = client
        self._fail_fast_client = client.with_attempts(_FAIL_FAST_ATTEMPTS)
        self._tables = selected
        self._ahead = workers * _PREFETCH_PER_WORKER
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")
        self._circuit_open: ApiError | None = None
        self._stopping = False
        self._deadline: threading.Timer | None = None

    def iter_listings(
        self, requests: Iterable[tuple[Workspace, ListingWindow]]
    ) -> Iterator[RunListing | Failure]:
        """Yield the listing of each workspace, in the order of the requests."""

        def list_one(request: tuple[Workspace, ListingWindow]) -> RunListing | Failure:
            return self.try_request(lambda: list_runs(self.client, *request))

        return self._pool.map(list_one, requests)

    def map(
        self, function: Callable[[RequestT], ResultT], requests: Iterable[RequestT]
    ) -> list[ResultT]:
        """Return the result of a function for each request, in order; requests run concurrently."""
        return list(self._pool.map(function, requests))

    def iter_results(
        self, workspace_syncs: Iterable[WorkspaceSync], launches: LaunchLoader | None
    ) -> Iterator[Result]:
        """Yield the runs of all plans in order, with an end marker after each workspace.

        Args:
            workspace_syncs: Sync of each workspace.
            launches: Loader that adds the launch to a run, None if launches are not selected.
        """
        queue = (
            (workspace_sync, run_fetch)
            for workspace_sync in workspace_syncs
            for run_fetch in (*workspace_sync.plan.fetches, None)
        )
        return map_ordered(self._pool, lambda pair: self._run(*pair, launches), queue, self._ahead)

    def check_workspace(self, workspace: Workspace) -> Failure | None:
        """Return None if the listing of a workspace responds, otherwise the failure."""
        return self.try_request(lambda: self.client.check_listing(workspace.id))

    def stop(self) -> None:
        """Start no more runs; runs in progress have ten seconds to finish."""
        self._stopping = True
        self._deadline = threading.Timer(_SHUTDOWN_SECONDS, self.client.http.rate_limiter.close)
        self._deadline.daemon = True  # it must not delay the exit of the process
        self._deadline.start()

    def close(self) -> None:
        """Cancel queued requests, and wait for the calls in progress."""
        if self._deadline:
            self._deadline.cancel()
        # Closed first, so that threads that wait for the rate limiter end.
        self.client.http.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(
        self,
        workspace_sync: WorkspaceSync,
        run_fetch: RunFetch | None,
        launches: LaunchLoader | None,
    ) -> Result:
        if run_fetch is None or workspace_sync.result.aborted:
            return WorkspaceEnd(workspace_sync)
        outcome = self.try_request(lambda: self._fetch_run(workspace_sync, run_fetch, launches))
        return RunResult(workspace_sync, run_fetch, outcome)

    def _fetch_run(
        self, workspace_sync: WorkspaceSync, run_fetch: RunFetch, launches: LaunchLoader | None
    ) -> FetchedRun | None:
        fails_fast = run_fetch.retry or workspace_sync.fails_fast
        client = self._fail_fast_client if fails_fast else self.client
        workspace = workspace_sync.workspace
        fetched = fetch_run(client, workspace, run_fetch, self._tables, self._pool)
        if fetched and launches:
            return launches.attach(fetched, workspace.id)
        return fetched

    def run_exists(self, workspace: Workspace, run_id: str) -> bool:
        """Return whether a run that is not in the listing can still be requested."""
        response = self.try_request(lambda: self.client.get_run(workspace.id, run_id))
        return not isinstance(response, ForbiddenError | NotFoundError)

    def try_request(self, request: Callable[[], ResultT]) -> ResultT | Failure:
        """Make a request unless it is certain to fail; return its result, or the failure."""
        if self._stopping:
            return SyncStoppedError()
        if self._circuit_open:
            return self._circuit_open
        result = capture_failure(request)
        if isinstance(result, ApiConnectionError):
            self._circuit_open = self._circuit_open or self._check_server(result)
        return result

    def _check_server(self, error: ApiError) -> ApiError | None:
        """Return the error if the server no longer responds to `/service-info` (API fact 11)."""
        try:
            self.client.get_service_info()
        except MalformedResponseError:
            return None
        except (ApiError, SyncStoppedError):
            return error
        return None


def map_ordered(
    pool: Executor,
    function: Callable[[RequestT], ResultT],
    requests: Iterable[RequestT],
    ahead: int,
) -> Iterator[ResultT]:
    """Yield results in the order of `requests`, prefetching at most `ahead` of them.

    Threads continue between two results, so that runs are fetched while dlt loads earlier rows. An
    exception of the function is raised at its position in the order.
    """
    pending: deque[Future[ResultT]] = deque()
    source = iter(requests)
    try:
        while True:
            for item in source:
                pending.append(pool.submit(function, item))
                if len(pending) >= ahead:
                    break
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
