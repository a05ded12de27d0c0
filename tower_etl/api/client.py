"""Client of the platform's API: sends requests, reads lists page by page, and extracts records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote

from tower_etl.api import endpoints
from tower_etl.api.compatibility import Compatibility, RequestForm
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.pagination import (
    EntityList,
    Page,
    PaginationStats,
    limit_items,
    paginate_descending,
)
from tower_etl.api.records import (
    Finding,
    Findings,
    extract_count,
    extract_object,
    extract_objects,
    extract_records,
    make_key_reader,
    malformed_response,
    parse_text_id,
    run_key,
    task_key,
)
from tower_etl.api.task_pages import (
    TotalCheck,
    fetch_stable_list,
    paginate_append_only,
    paginate_around_known,
)
from tower_etl.errors import MalformedResponseError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from tower_etl.api.endpoints import Endpoint, PathScope
    from tower_etl.api.pagination import FetchPage
    from tower_etl.api.records import Item
    from tower_etl.api.task_pages import KnownRange, SinkT
    from tower_etl.http import JsonHttpClient

    Params = dict[str, str | int]

_MAX_LISTED = 2_000_000  # number of items above which a list is considered endless
_MAX_TASKS = 1_000_000  # of one run: all of them are kept in memory until the last page
# These segments change the path of a URL, even if they are percent-encoded.
_NO_SEGMENTS = frozenset({"", ".", ".."})


def format_timestamp(time: datetime) -> str:
    """Return a time as `YYYY-MM-DDThh:mm:ss.sssZ`, as `after:` and `before:` expect (API fact 4).

    Microseconds are truncated: both bounds are inclusive, and a rounded `after:` would skip runs.
    """
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True)
class TowerClient:
    """Read-only client of one platform. Every method may raise `ApiError`.

    `workspace_id` is None for the personal workspace.

    Attributes:
        http: HTTP client that sends the requests.
        compatibility: Features that the server is known not to support.
        findings: Contradictions and oddities in the responses.
    """

    http: JsonHttpClient
    compatibility: Compatibility = field(default_factory=Compatibility)
    findings: Findings = field(default_factory=Findings)

    def list_messages(self) -> list[str]:
        """Return messages for the user about the server's responses, one per subject."""
        stats = self.http.metrics.snapshot()
        repaired = (
            f"{stats.repaired} answer(s) were not valid JSON and were repaired, the first one "
            f"{stats.repair}. Report it to the administrator of the server."
        )
        messages = [*self.compatibility.messages, *self.findings.list_messages()]
        return [*messages, repaired] if stats.repaired else messages

    def with_attempts(self, attempts: int) -> TowerClient:
        """Return a client that shares everything with this one, but retries server errors less.

        `attempts` includes the first one. Requests that the rate limit rejects (429) are retried
        as before.
        """
        policy = replace(self.http.policy, server_error_attempts=attempts)
        return replace(self, http=self.http.with_policy(policy))

    def check_listing(self, workspace_id: int | None) -> None:
        """List one run of a workspace, to check that its listing works."""
        self._get(endpoints.RUNS, {"max": 1}, workspace_id=workspace_id)

    def get_service_info(self) -> Item:
        """Return version and features of the server; requires no token (API fact 11)."""
        # The first request is retried less, so that a wrong endpoint is reported soon.
        policy = replace(self.http.policy, attempts=4)
        response = self.http.with_policy(policy).get(endpoints.SERVICE_INFO.path)
        return extract_object(endpoints.SERVICE_INFO, response)

    def get_user(self) -> Item:
        """Return the user of the token."""
        return extract_object(endpoints.USER_INFO, self._get(endpoints.USER_INFO))

    def list_user_workspaces(self, user_id: int) -> EntityList:
        """Return organizations and workspaces of a user; an organization has no `workspaceId`."""
        response = self._get(endpoints.USER_WORKSPACES, user_id=user_id)
        items, left_out = extract_objects(endpoints.USER_WORKSPACES, response)
        return EntityList(items, complete=not left_out, left_out=left_out)

    def iter_run_pages(
        self,
        workspace_id: int | None,
        stats: PaginationStats,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> Iterator[list[Item]]:
        """Yield pages of runs with their labels, newest submission first (API facts 2, 4 and 14).

        `stats` is filled in during the iteration, and shows at the end whether the listing is
        complete. The bounds of the submission time are inclusive.
        """
        # The total is compared with the number of listed runs, to detect an incomplete listing.
        params: Params = {"includeTotalSize": "true"}
        bounds = [("after", after), ("before", before)]
        search = " ".join(f"{name}:{format_timestamp(when)}" for name, when in bounds if when)
        if search:
            params["search"] = search
        fetch = self._make_page_fetcher(
            endpoints.RUNS, _MAX_LISTED, params, workspace_id=workspace_id
        )
        return paginate_descending(fetch, run_key, stats, f"GET {endpoints.RUNS.path}")

    def count_runs(self, workspace_id: int | None) -> int | None:
        """Return the number of runs of a workspace; None if the server does not report it."""
        params: Params = {"includeTotalSize": "true", "max": 1}
        response = self._get(endpoints.RUNS, params, workspace_id=workspace_id)
        if total := extract_count(response.get(endpoints.RUNS.total_key)):
            return total
        return None if extract_records(endpoints.RUNS, response) else 0

    def get_run(self, workspace_id: int | None, run_id: str) -> Item:
        """Return a run with its progress and labels, as far as the server supports (API fact 14).

        The response must have the id of the run, because its rows replace the stored ones.
        """
        form = RequestForm(endpoints.RUN.attributes)
        detail, _ = self._negotiate(
            endpoints.RUN, form, {}, workspace_id=workspace_id, run_id=run_id
        )
        if run_key(detail) != run_id:
            msg = (
                f"GET /workflow/{run_id}: the answer does not describe this run. If it persists, "
                "report it to the administrator of the server."
            )
            raise MalformedResponseError(msg)
        return detail

    def search_run(self, workspace_id: int | None, run_id: str) -> bool:
        """Return whether the listing of a workspace contains a run."""
        # API fact 4: very old servers treat the search as free text, so the ids are compared below.
        params: Params = {"search": f"workflowId:{run_id}", "offset": 0}
        form = RequestForm(size=MAX_PAGE)
        response, _ = self._negotiate(endpoints.RUNS, form, params, workspace_id=workspace_id)
        return run_id in map(run_key, extract_records(endpoints.RUNS, response))

    def list_tasks_into(
        self,
        workspace_id: int | None,
        run_id: str,
        make_sink: Callable[[], SinkT],
        total_check: TotalCheck | None = None,
        pool: Executor | None = None,
    ) -> SinkT:
        """Append the pages of a run's tasks, by ascending `taskId`, to a sink and return the sink.

        `make_sink` creates the sink, again if the list must be read again from its start.
        `total_check` is filled in with the server's counts and repeated tasks. For a finished run,
        idle threads of `pool` fetch pages in advance, until the counts of the server are found to
        be inexact.
        """
        total_check = total_check or TotalCheck()
        fetch = self._make_task_page_fetcher(workspace_id, run_id)
        # API fact 3: without an exact count, an item hidden by out-of-order responses would go
        # unnoticed.
        if pool and self.compatibility.task_count_reliable:
            sink = fetch_stable_list(fetch, task_key, make_sink, pool, total_check)
            if not total_check.is_exact:
                self.compatibility.task_count_reliable = False
            if sink is not None:
                return sink
            fetch = self._make_task_page_fetcher(workspace_id, run_id)
        return paginate_append_only(fetch, task_key, make_sink, total_check)

    def list_tasks_around(
        self,
        workspace_id: int | None,
        run_id: str,
        known_ranges: Sequence[KnownRange],
        total_check: TotalCheck,
    ) -> list[tuple[int, Item]] | None:
        """Return the tasks outside of known ranges with their offsets; None if a range moved."""
        fetch = self._make_task_page_fetcher(workspace_id, run_id)
        return paginate_around_known(fetch, task_key, known_ranges, total_check)

    def _make_task_page_fetcher(self, workspace_id: int | None, run_id: str) -> FetchPage:
        names = {"workspace_id": workspace_id, "run_id": run_id}
        return self._make_page_fetcher(endpoints.RUN_TASKS, _MAX_TASKS, {}, **names)

    def list_metrics(self, workspace_id: int | None, run_id: str) -> list[Item]:
        """Return the resource metrics of a run, one element per process."""
        names = {"workspace_id": workspace_id, "run_id": run_id}
        return self._get_list(endpoints.RUN_METRICS, {}, **names)

    def list_entity(self, endpoint: Endpoint, scope: PathScope) -> EntityList:
        """Return all items of a list endpoint, with or without pages.

        Elements without a key are skipped, because the next sync could not identify them.
        """
        params: Params = {**endpoint.filters}
        names = asdict(scope)
        read_key, stats = make_key_reader(endpoint.key), PaginationStats()
        if not endpoint.paged:
            form = RequestForm(endpoint.attributes)
            response, _ = self._negotiate(endpoint, form, params, **names)
            records = extract_records(endpoint, response)
            if not endpoint.key:  # one object per scope, which identifies it
                return EntityList(records, complete=True)
            page = Page(records, extract_count(response.get(endpoint.total_key)))
            return EntityList.of(stats.take(page, read_key), endpoint.key, stats)
        fetch = self._make_page_fetcher(endpoint, _MAX_LISTED, params, **names)
        pages = paginate_descending(fetch, read_key, stats, f"GET {endpoint.path}")
        return EntityList.of(chain.from_iterable(pages), endpoint.key, stats)

    def get_entity(self, endpoint: Endpoint, scope: PathScope) -> Item:
        """Return an item with the details that its list omits.

        Raises:
            ServerError: The response has the id of another item.
        """
        (item,) = self._get_list(endpoint, {}, **asdict(scope))
        if parse_text_id(item.get("id")) == str(scope.parent_id):
            return item
        raise malformed_response(endpoint, f"object with the id {scope.parent_id}")

    def get_first_item(self, endpoint: Endpoint, scope: PathScope, **names: object) -> Item | None:
        """Return the first item, to check access; None if the list is empty."""
        params: Params = {"max": 1} if endpoint.paged else {}
        items = self._get_list(endpoint, params, **(asdict(scope) | names))
        return items[0] if items else None

    def get_launch(self, workspace_id: int | None, launch_id: str) -> Item:
        """Return the launch of a run, with its compute environment."""
        response = self._get(endpoints.LAUNCH, workspace_id=workspace_id, launch_id=launch_id)
        return extract_object(endpoints.LAUNCH, response)

    def list_launch_datasets(self, workspace_id: int | None, launch_id: str) -> list[Item]:
        """Return the dataset versions that a launch uses."""
        names = {"workspace_id": workspace_id, "launch_id": launch_id}
        return self._get_list(endpoints.LAUNCH_DATASETS, {}, **names)

    def list_audit_log_page(
        self, after: datetime | None, before: datetime, token: str | None
    ) -> tuple[list[Item], str | None]:
        """Return a page of the audit log, newest entry first, and the token of the next page.

        Both times are inclusive; the first page has no token.
        """
        params: Params = {"timestampBeforeOrEqual": format_timestamp(before)}
        if after:
            params["timestampAfterOrEqual"] = format_timestamp(after)
        if token is not None:
            params["nextPageToken"] = token
        response, _ = self._negotiate(endpoints.AUDIT_LOGS, RequestForm(size=MAX_PAGE), params)
        next_token = response.get("nextPageToken")
        items = extract_records(endpoints.AUDIT_LOGS, response)
        return items, next_token if isinstance(next_token, str) else None

    def _get(self, endpoint: Endpoint, params: Params | None = None, **names: object) -> Item:
        """Return the unchanged response of an endpoint.

        Names are the values of the placeholders in its path. `workspace_id` may be a parameter
        instead; the personal workspace has none (API fact 13).

        Raises:
            ServerError: A value for a placeholder in the path would turn it into another path.
        """
        if _NO_SEGMENTS.intersection(map(str, names.values())):
            msg = f"GET {endpoint.path}: the server returned an id that cannot be part of a path."
            raise ServerError(msg)
        segments = {name: quote(str(value), safe="") for name, value in names.items()}
        workspace_id = names.get("workspace_id")
        workspace_param: Params = {}
        if endpoint.scoped and isinstance(workspace_id, int):
            workspace_param["workspaceId"] = workspace_id
        return self.http.get(endpoint.path.format(**segments), workspace_param | (params or {}))

    def _negotiate(
        self, endpoint: Endpoint, full_form: RequestForm, params: Params, **names: object
    ) -> tuple[Item, RequestForm]:
        """Return the response to a call, and the fullest form of it that the server accepts."""

        def send(form: RequestForm) -> Item:
            return self._get(endpoint, params | form.params, **names)

        return self.compatibility.negotiate(endpoint, full_form, send)

    def _get_list(self, endpoint: Endpoint, params: Params, **names: object) -> list[Item]:
        """Return the objects in the list of a response; report elements of other types."""
        objects, left_out = extract_objects(endpoint, self._get(endpoint, params, **names))
        if left_out:
            problem = "{} element(s) that are no objects were left out"
            advice = "Report it to the administrator of the server."
            self.findings.add(Finding(f"GET {endpoint.path}", problem, advice), count=left_out)
        return objects

    def _get_page(self, endpoint: Endpoint, offset: int, params: Params, **names: object) -> Page:
        """Return a page of a list, as large as the server allows."""
        full_form = RequestForm(endpoint.attributes, MAX_PAGE)
        response, form = self._negotiate(endpoint, full_form, params | {"offset": offset}, **names)
        has_more = response.get("hasMore")
        return Page(
            extract_records(endpoint, response),
            extract_count(response.get(endpoint.total_key)),
            has_more if isinstance(has_more, bool) else None,
            extract_count(response.get(endpoint.approximate_total_key)),
            form.size,
        )

    def _make_page_fetcher(
        self, endpoint: Endpoint, most: int, params: Params, **names: object
    ) -> FetchPage:
        """Return a function that fetches the page at an offset, up to `most` items in all."""
        name = f"GET {endpoint.path}"
        return limit_items(
            most, lambda offset: self._get_page(endpoint, offset, params, **names), name
        )
