"""Client of the platform's API, with one method per endpoint."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from itertools import chain
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.api.calls import Calls
from tower_etl.api.compatibility import Compatibility, Negotiation, RequestForm
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.pagination import (
    Page,
    PaginationStats,
    TotalCheck,
    paginate_append_only,
    paginate_descending,
)
from tower_etl.api.records import (
    Findings,
    count_keyed,
    extract_count,
    extract_object,
    extract_records,
    malformed_response,
    parse_text_id,
    record_key,
    run_key,
    split_keyed,
    task_key,
    with_typed_key,
)
from tower_etl.api.task_pages import fetch_stable_list, paginate_around_known
from tower_etl.errors import MalformedResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from tower_etl.api.calls import Params
    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.pagination import FetchPage, Item, SinkT
    from tower_etl.api.task_pages import KnownRange
    from tower_etl.http import JsonHttpClient, RetryPolicy

_MAX_LISTED = 2_000_000  # number of items above which a list is considered endless
_TASKS = f"GET {endpoints.RUN_TASKS.path}"
_MAX_TASKS = 1_000_000  # of one run: all of them are kept in memory until the last page


def format_timestamp(time: datetime) -> str:
    """Return a time as `YYYY-MM-DDThh:mm:ss.sssZ`, as `after:` and `before:` expect (API fact 4).

    Microseconds are truncated: both bounds are inclusive, and a rounded `after:` would skip runs.
    """
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True)
class EntityList:
    """Items of a list endpoint.

    Attributes:
        items: Items, each once.
        complete: Whether an item that is not in the list certainly does not exist: the list did
            not change while it was read, the count of the server, if any, matches, and no element
            was skipped.
        left_out: Number of elements without a key.
        repeated: Number of items that the server lists more than once.
        total: Count of the server if it differs from the number of listed items, else None.
    """

    items: list[Item]
    complete: bool
    left_out: int = 0
    repeated: int = 0
    total: int | None = None


@dataclass(frozen=True)
class PathScope:
    """Scope of a list: the values of the placeholders in an endpoint's path.

    Attributes:
        workspace_id: Id of the workspace, None for the personal one.
        org_id: Id of the organization, if the path contains one.
        parent_id: Id of the team, pipeline or compute environment, if the path contains one.
    """

    workspace_id: int | None = None
    org_id: int | None = None
    parent_id: int | str | None = None


class TowerClient:
    """Read-only client of one platform. Every method may raise `ApiError`.

    Attributes:
        http: HTTP client that sends the requests.
        compatibility: Features that the server is known not to support.
        findings: Contradictions and oddities in the responses.
    """

    def __init__(self, http_client: JsonHttpClient) -> None:
        self.http = http_client
        self.compatibility = Compatibility()
        self.findings = Findings()
        self._calls = Calls(http_client, Negotiation(self.compatibility), self.findings)

    def list_reports(self) -> list[str]:
        """Return messages for the user about the server's responses, one per subject."""
        stats = self.http.metrics.snapshot()
        repaired = (
            f"{stats.repaired} answer(s) were not valid JSON and were repaired, the first one "
            f"{stats.repair}. Report it to the administrator of the server."
        )
        news, found = self.compatibility.messages, self.findings.list_messages()
        return [*news, *found, *([repaired] if stats.repaired else ())]

    def with_attempts(self, attempts: int) -> TowerClient:
        """Return a client that shares everything with this one, but retries server errors less.

        Args:
            attempts: Maximum number of attempts of a request that ends with a server error,
                including the first. Requests that the rate limit rejects (429) are retried as
                before.
        """
        twin = copy(self)
        policy = replace(self.http.policy, server_error_attempts=attempts)
        twin.http = self.http.with_policy(policy)
        twin._calls = replace(self._calls, http_client=twin.http)  # noqa: SLF001 an object of this class
        return twin

    def check_listing(self, workspace_id: int | None) -> None:
        """List one run of a workspace, to check that its listing works."""
        self._calls.get(endpoints.RUNS, _workspace_params(workspace_id) | {"max": 1})

    def get_service_info(self) -> Item:
        """Return version and features of the server; requires no token (API fact 11)."""
        return self._calls.get_object(endpoints.SERVICE_INFO, policy=self._fail_fast_policy())

    def get_user(self) -> Item:
        """Return the user of the token."""
        return self._calls.get_object(endpoints.USER_INFO)

    def list_user_workspaces(self, user_id: int) -> EntityList:
        """Return organizations and workspaces of a user; an organization has no `workspaceId`."""
        response = self._calls.get(endpoints.USER_WORKSPACES, user_id=user_id)
        elements = extract_records(endpoints.USER_WORKSPACES, response)
        items: list[Item] = [element for element in elements if isinstance(element, dict)]
        left_out = len(elements) - len(items)
        return EntityList(items, complete=not left_out, left_out=left_out)

    def list_runs(
        self,
        workspace_id: int | None,
        stats: PaginationStats,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> Iterator[list[Item]]:
        """Yield pages of runs with their labels, newest submission first (API facts 2, 4 and 14).

        Args:
            workspace_id: Id of the workspace, None for the personal one.
            stats: Filled in during the iteration; shows at the end whether the listing is
                complete.
            after: Earliest submission time, inclusive.
            before: Latest submission time, inclusive.
        """
        # The total is compared with the number of listed runs, to detect an incomplete listing.
        params = _workspace_params(workspace_id) | {"includeTotalSize": "true"}
        bounds = [("after", after), ("before", before)]
        search = " ".join(f"{name}:{format_timestamp(when)}" for name, when in bounds if when)
        if search:
            params["search"] = search
        fetch = self._calls.paged(endpoints.RUNS, _MAX_LISTED, params)
        return paginate_descending(fetch, run_key, stats, f"GET {endpoints.RUNS.path}")

    def count_runs(self, workspace_id: int | None) -> int | None:
        """Return the number of runs of a workspace; None if the server does not report it."""
        params = _workspace_params(workspace_id) | {"includeTotalSize": "true", "max": 1}
        response = self._calls.get(endpoints.RUNS, params)
        if total := extract_count(response.get(endpoints.RUNS.total_key)):
            return total
        return None if extract_records(endpoints.RUNS, response) else 0

    def get_run(self, workspace_id: int | None, run_id: str) -> Item:
        """Return a run with its progress and labels, as far as the server supports (API fact 14).

        The response must have the id of the run, because its rows replace the stored ones.
        """
        detail = self._calls.describe(endpoints.RUN, _workspace_params(workspace_id), run_id=run_id)
        if run_key(detail) != run_id:
            msg = (
                f"GET /workflow/{run_id}: the answer does not describe this run. If it persists, "
                "report it to the administrator of the server."
            )
            raise MalformedResponseError(msg)
        return detail

    def is_listed(self, workspace_id: int | None, run_id: str) -> bool:
        """Return whether the listing of a workspace contains a run."""
        params = _workspace_params(workspace_id)
        # API fact 4: very old servers treat the search as free text, so the ids are compared below.
        params["search"] = f"workflowId:{run_id}"
        params |= {"offset": 0}
        response, _ = self._calls.ask(endpoints.RUNS, RequestForm(size=MAX_PAGE), params)
        return any(
            run_key(element) == run_id for element in extract_records(endpoints.RUNS, response)
        )

    def list_tasks_into(
        self,
        workspace_id: int | None,
        run_id: str,
        make: Callable[[], SinkT],
        tally: TotalCheck | None = None,
    ) -> SinkT:
        """Append the pages of a run's tasks, by ascending `taskId`, to a sink and return the sink.

        Args:
            workspace_id: Id of the workspace, None for the personal one.
            run_id: Id of the run.
            make: Creates the sink; called again if the list must be read again from its start.
            tally: Filled in with the server's counts and repeated tasks.
        """
        fetch = self._task_pages(workspace_id, run_id)
        return paginate_append_only(fetch, task_key, make, tally, _TASKS)

    def list_final_tasks_into(
        self,
        workspace_id: int | None,
        run_id: str,
        make: Callable[[], SinkT],
        pool: Executor,
        tally: TotalCheck | None = None,
    ) -> SinkT:
        """Append the tasks of a finished run to a sink, with pages fetched in parallel.

        Once the counts of a server have been found inexact, its pages are fetched one after
        another.

        Args:
            workspace_id: Id of the workspace, None for the personal one.
            run_id: Id of the run.
            make: Creates the sink; called again if the list must be read again from its start.
            pool: Executor whose idle threads fetch pages in advance.
            tally: Filled in with the server's counts and repeated tasks.
        """
        tally = tally or TotalCheck()
        # API fact 3: without an exact count, an item hidden by out-of-order responses would go
        # unnoticed.
        if self.compatibility.task_count_reliable:
            fetch = self._task_pages(workspace_id, run_id)
            sink = fetch_stable_list(fetch, task_key, make, pool, tally)
            if not tally.is_exact:
                self.compatibility.task_count_reliable = False
            if sink is not None:
                return sink
        return self.list_tasks_into(workspace_id, run_id, make, tally)

    def list_tasks_around_into(
        self, workspace_id: int | None, run_id: str, known: Sequence[KnownRange], tally: TotalCheck
    ) -> list[tuple[int, Item]] | None:
        """Return the tasks outside of known ranges with their offsets; None if a range moved."""
        fetch = self._task_pages(workspace_id, run_id)
        return paginate_around_known(fetch, task_key, known, tally)

    def _task_pages(self, workspace_id: int | None, run_id: str) -> FetchPage:
        params = _workspace_params(workspace_id)
        return self._calls.paged(endpoints.RUN_TASKS, _MAX_TASKS, params, run_id=run_id)

    def list_metrics(self, workspace_id: int | None, run_id: str) -> list[Item]:
        """Return the resource metrics of a run, one element per process."""
        return self._calls.get_list(
            endpoints.RUN_METRICS, _workspace_params(workspace_id), run_id=run_id
        )

    def list_entity(self, endpoint: Endpoint, scope: PathScope) -> EntityList:
        """Return all items of a list endpoint, with or without pages.

        Elements without a key are skipped, because the next sync could not identify them.
        """
        params, names = {**_scope_params(endpoint, scope), **endpoint.filters}, asdict(scope)
        key, stats = record_key(endpoint.key), PaginationStats()
        if not endpoint.paged:
            response = self._calls.describe(endpoint, params, **names)
            if not endpoint.key:  # one object per scope, which identifies it
                return EntityList(extract_records(endpoint, response), complete=True)
            total = extract_count(response.get(endpoint.total_key))
            page = Page(extract_records(endpoint, response), total)
            return _entity_list(endpoint, stats.take(page, key), stats)
        fetch = self._calls.paged(endpoint, _MAX_LISTED, params, **names)
        pages = paginate_descending(fetch, key, stats, f"GET {endpoint.path}")
        return _entity_list(endpoint, chain.from_iterable(pages), stats)

    def get_entity(self, endpoint: Endpoint, scope: PathScope) -> Item:
        """Return an item with the details that its list omits.

        Raises:
            ServerError: The response has the id of another item.
        """
        (item,) = self._calls.get_list(endpoint, _scope_params(endpoint, scope), **asdict(scope))
        if parse_text_id(item.get("id")) == str(scope.parent_id):
            return item
        raise malformed_response(endpoint, f"object with the id {scope.parent_id}")

    def probe(self, endpoint: Endpoint, scope: PathScope, **names: object) -> Item | None:
        """Return one item, to check access; None if the list is empty."""
        params: Params = {"max": 1} if endpoint.paged else {}
        names = asdict(scope) | names
        found = self._calls.get_list(endpoint, _scope_params(endpoint, scope) | params, **names)
        return found[0] if found else None

    def get_launch(self, workspace_id: int | None, launch_id: str) -> Item:
        """Return the launch of a run, with its compute environment."""
        response = self._calls.get(
            endpoints.LAUNCH, _workspace_params(workspace_id), launch_id=launch_id
        )
        return extract_object(endpoints.LAUNCH, response)

    def list_launch_datasets(self, workspace_id: int | None, launch_id: str) -> list[Item]:
        """Return the dataset versions that a launch uses."""
        params = _workspace_params(workspace_id)
        return self._calls.get_list(endpoints.LAUNCH_DATASETS, params, launch_id=launch_id)

    def list_audit_log_page(
        self, after: datetime | None, before: datetime, token: str | None
    ) -> tuple[list[Item], str | None]:
        """Return a page of the audit log, newest entry first, and the token of the next page.

        Args:
            after: Time of the earliest entry, inclusive.
            before: Time of the latest entry, inclusive.
            token: Token of the page, None for the first page.
        """
        values = {"timestampBeforeOrEqual": format_timestamp(before), "nextPageToken": token}
        values["timestampAfterOrEqual"] = format_timestamp(after) if after else None
        params: Params = {name: value for name, value in values.items() if value is not None}
        response, _ = self._calls.ask(endpoints.AUDIT_LOGS, RequestForm(size=MAX_PAGE), params)
        next_token = response.get("nextPageToken")
        items = extract_records(endpoints.AUDIT_LOGS, response)
        return items, next_token if isinstance(next_token, str) else None

    def _fail_fast_policy(self) -> RetryPolicy:
        """Return the policy of the first request, so that a wrong endpoint is reported soon."""
        return replace(self.http.policy, attempts=4, connection_attempts=4)


def _entity_list(endpoint: Endpoint, found: Iterable[Item], stats: PaginationStats) -> EntityList:
    """Return the items that a pagination yields, with its statistics."""
    items, left_out = split_keyed(found, record_key(endpoint.key))
    return EntityList(
        [with_typed_key(item, endpoint.key) for item in items],
        complete=stats.count_matches and not stats.was_modified and not left_out,
        left_out=left_out,
        repeated=count_keyed(stats.repeated),
        total=None if stats.count_matches or stats.was_modified else stats.reported_totals[-1],
    )


def _workspace_params(workspace_id: int | None) -> Params:
    """Return the parameter that selects a workspace; none for the personal one (API fact 13)."""
    return {} if workspace_id is None else {"workspaceId": workspace_id}


def _scope_params(endpoint: Endpoint, scope: PathScope) -> Params:
    return _workspace_params(scope.workspace_id) if endpoint.scoped else {}
