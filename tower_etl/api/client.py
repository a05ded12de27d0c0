"""One short method per endpoint of the platform's API."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from itertools import chain
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.api.calls import Calls, _workspace_params
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

_MAX_LISTED = 2_000_000  # a list without end is left there
_TASKS = f"GET {endpoints.RUN_TASKS.path}"
_MAX_TASKS = 1_000_000  # of one run: they are held in memory until all of them are there


def format_timestamp(moment: datetime) -> str:
    """`YYYY-MM-DDThh:mm:ss.sssZ`, as `after:` and `before:` take it (API fact 4).

    Microseconds are cut, not rounded: both bounds are inclusive, and `after:` must not pass over.
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True)
class EntityList:
    """A list of an endpoint.

    Attributes:
        items: What it holds, each once.
        complete: Whether what it lacks is not there for sure: no page moved, the server's own
            count, if it gave one, agrees, and no element was left out.
        left_out: Elements without a key.
        repeated: Items that the server lists more than once.
        total: How many items there are by the server's count, None where that agrees with the list.
    """

    items: list[Item]
    complete: bool
    left_out: int = 0
    repeated: int = 0
    total: int | None = None


@dataclass(frozen=True)
class PathScope:
    """What a list is of.

    Attributes:
        workspace_id: Workspace, None for the personal one.
        org_id: Organisation, where the path names one.
        parent_id: Team, pipeline or compute environment, where the path names one.
    """

    workspace_id: int | None = None
    org_id: int | None = None
    parent_id: int | str | None = None


class TowerClient:
    """Reads one platform, with whatever its token can see. Every method may raise `ApiError`.

    Attributes:
        http_client: Carries the calls.
        compatibility: What the server is known not to support.
        findings: What was odd in its answers.
    """

    def __init__(self, http_client: JsonHttpClient) -> None:
        self.http = http_client
        self.compatibility = Compatibility()
        self.findings = Findings()
        self._calls = Calls(http_client, Negotiation(self.compatibility), self.findings)

    def list_reports(self) -> list[str]:
        """Return what the user should know of the server's answers, one message a matter."""
        stats = self.http.metrics.snapshot()
        repaired = (
            f"{stats.repaired} answer(s) were not valid JSON and were repaired, the first one "
            f"{stats.repair}. Report it to the administrator of the server."
        )
        news, found = self.compatibility.messages, self.findings.list_messages()
        return [*news, *found, *([repaired] if stats.repaired else ())]

    def with_attempts(self, attempts: int) -> TowerClient:
        """Return a client that shares everything with this one, but retries server faults less.

        Args:
            attempts: Tries of a call that the server fails, the first included. A refusal by the
                rate limit (429) is retried as before.
        """
        twin = copy(self)
        policy = replace(self.http.policy, server_error_attempts=attempts)
        twin.http = self.http.with_policy(policy)
        twin._calls = replace(self._calls, http_client=twin.http)  # noqa: SLF001 an object of this class
        return twin

    def check_listing(self, workspace_id: int | None) -> None:
        """List one run of a workspace, to learn whether the workspace answers at all."""
        self._calls.get(endpoints.RUNS, _workspace_params(workspace_id) | {"max": 1})

    def get_service_info(self) -> Item:
        """Version and abilities of the server; needs no token (API fact 11)."""
        return self._calls.get_object(endpoints.SERVICE_INFO, policy=self._fail_fast_policy())

    def get_user(self) -> Item:
        """The user that the token belongs to."""
        return self._calls.get_object(endpoints.USER_INFO)

    def list_user_workspaces(self, user_id: int) -> EntityList:
        """Organisations and workspaces of the user; a null `workspaceId` is an organisation."""
        answer = self._calls.get(endpoints.USER_WORKSPACES, user_id=user_id)
        elements = extract_records(endpoints.USER_WORKSPACES, answer)
        items: list[Item] = [element for element in elements if isinstance(element, dict)]
        left_out = len(elements) - len(items)
        return EntityList(items, complete=not left_out, left_out=left_out)

    def list_organizations(self) -> list[Item]:
        """Organisations that the token sees."""
        return self._calls.get_list(endpoints.ORGANIZATIONS)

    def list_org_workspaces(self, org_id: int) -> list[Item]:
        """Workspaces of one organisation."""
        return self._calls.get_list(endpoints.ORG_WORKSPACES, org_id=org_id)

    def list_labels(self, workspace_id: int | None) -> list[Item]:
        """Labels of a workspace."""
        return self.list_entity(endpoints.LABELS, PathScope(workspace_id)).items

    def list_runs(
        self,
        workspace_id: int | None,
        walked: PaginationStats,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> Iterator[list[Item]]:
        """Pages of runs with their labels, newest submission first (API facts 2, 4 and 14).

        Args:
            workspace_id: None for the personal workspace.
            walked: Filled in on the way; tells at the end whether the listing is complete.
            after: Earliest submission, inclusive.
            before: Latest submission, inclusive.
        """
        params = _workspace_params(workspace_id) | {"includeTotalSize": "true"}
        bounds = [("after", after), ("before", before)]
        search = " ".join(f"{name}:{format_timestamp(when)}" for name, when in bounds if when)
        if search:
            params["search"] = search
        fetch = self._calls.paged(endpoints.RUNS, _MAX_LISTED, params)
        return paginate_descending(fetch, run_key, walked, f"GET {endpoints.RUNS.path}")

    def get_run(self, workspace_id: int | None, run_id: str) -> Item:
        """One run with its progress and labels, as far as the server knows them (API fact 14).

        The answer must be of that run: its rows replace those there are.
        """
        described = self._calls.describe(
            endpoints.RUN, _workspace_params(workspace_id), run_id=run_id
        )
        if run_key(described) != run_id:
            msg = (
                f"GET /workflow/{run_id}: the answer does not describe this run. If it persists, "
                "report it to the administrator of the server."
            )
            raise MalformedResponseError(msg)
        return described

    def is_listed(self, workspace_id: int | None, run_id: str) -> bool:
        """Whether the listing of the workspace shows a run."""
        params = _workspace_params(workspace_id)
        params["search"] = f"workflowId:{run_id}"
        params |= {"offset": 0}
        answer, _ = self._calls.ask(endpoints.RUNS, RequestForm(size=MAX_PAGE), params)
        return any(
            run_key(element) == run_id for element in extract_records(endpoints.RUNS, answer)
        )

    def iter_tasks(self, workspace_id: int | None, run_id: str) -> list[Item]:
        """Tasks of a run, by ascending `taskId`."""
        pages: list[list[Item]] = self.list_tasks_into(workspace_id, run_id, list)
        return list({task_key(task): task for page in pages for task in page}.values())

    def list_tasks_into(
        self,
        workspace_id: int | None,
        run_id: str,
        make: Callable[[], SinkT],
        tally: TotalCheck | None = None,
    ) -> SinkT:
        """The same, page by page into what `make` gives, which is handed back."""
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
        """All tasks of a run that is final, likewise, with the help of idle threads.

        A server whose counts are not exact is asked for one page after the other from then on.
        """
        tally = tally or TotalCheck()
        if self.compatibility.task_count_reliable:
            fetch = self._task_pages(workspace_id, run_id)
            taker = fetch_stable_list(fetch, task_key, make, pool, tally)
            if not tally.is_exact:
                self.compatibility.task_count_reliable = False
            if taker is not None:
                return taker
        return self.list_tasks_into(workspace_id, run_id, make, tally)

    def list_tasks_around_into(
        self, workspace_id: int | None, run_id: str, known: Sequence[KnownRange], tally: TotalCheck
    ) -> list[tuple[int, Item]] | None:
        """Tasks outside of known ranges, with their offsets; None where those have moved."""
        fetch = self._task_pages(workspace_id, run_id)
        return paginate_around_known(fetch, task_key, known, tally)

    def _task_pages(self, workspace_id: int | None, run_id: str) -> FetchPage:
        params = _workspace_params(workspace_id)
        return self._calls.paged(endpoints.RUN_TASKS, _MAX_TASKS, params, run_id=run_id)

    def list_metrics(self, workspace_id: int | None, run_id: str) -> list[Item]:
        """Resource metrics of a run, one element per process."""
        return self._calls.get_list(
            endpoints.RUN_METRICS, _workspace_params(workspace_id), run_id=run_id
        )

    def list_entity(self, endpoint: Endpoint, where: PathScope) -> EntityList:
        """All items of an endpoint, page by page where it has pages.

        Elements without a key are left out: nothing could tell them apart the next time.
        """
        params, names = {**_of(endpoint, where), **endpoint.filters}, asdict(where)
        key, walked = record_key(endpoint.key), PaginationStats()
        if not endpoint.paged:
            answer = self._calls.describe(endpoint, params, **names)
            if not endpoint.key:  # one object that belongs to its place
                return EntityList(extract_records(endpoint, answer), complete=True)
            total = extract_count(answer.get(endpoint.total_key))
            page = Page(extract_records(endpoint, answer), total)
            return _entity_list(endpoint, walked.take(page, key), walked)
        fetch = self._calls.paged(endpoint, _MAX_LISTED, params, **names)
        pages = paginate_descending(fetch, key, walked, f"GET {endpoint.path}")
        return _entity_list(endpoint, chain.from_iterable(pages), walked)

    def get_entity(self, endpoint: Endpoint, where: PathScope) -> Item:
        """Return one item, with more than the list of such items says of it.

        Raises:
            ServerError: The answer is about another item.
        """
        (item,) = self._calls.get_list(endpoint, _of(endpoint, where), **asdict(where))
        if parse_text_id(item.get("id")) == str(where.parent_id):
            return item
        raise malformed_response(endpoint, f"object with the id {where.parent_id}")

    def probe(self, endpoint: Endpoint, where: PathScope, **names: object) -> Item | None:
        """Ask for one item, to see whether the token may; None where there is none."""
        params: Params = {"max": 1} if endpoint.paged else {}
        names = asdict(where) | names
        found = self._calls.get_list(endpoint, _of(endpoint, where) | params, **names)
        return found[0] if found else None

    def get_launch(self, workspace_id: int | None, launch_id: str) -> Item:
        """Return what a run was launched from, with its compute environment."""
        answer = self._calls.get(
            endpoints.LAUNCH, _workspace_params(workspace_id), launch_id=launch_id
        )
        return extract_object(endpoints.LAUNCH, answer)

    def list_launch_datasets(self, workspace_id: int | None, launch_id: str) -> list[Item]:
        """Return the versions of datasets that a launch reads."""
        params = _workspace_params(workspace_id)
        return self._calls.get_list(endpoints.LAUNCH_DATASETS, params, launch_id=launch_id)

    def list_audit_log_page(
        self, after: datetime | None, before: datetime, token: str | None
    ) -> tuple[list[Item], str | None]:
        """A page of the audit log, newest entry first, and the token of the page after it.

        Args:
            after: Earliest entry, inclusive.
            before: Latest entry, inclusive.
            token: Of the page, None for the first.
        """
        asked = {"timestampBeforeOrEqual": format_timestamp(before), "nextPageToken": token}
        asked["timestampAfterOrEqual"] = format_timestamp(after) if after else None
        params: Params = {name: value for name, value in asked.items() if value is not None}
        answer, _ = self._calls.ask(endpoints.AUDIT_LOGS, RequestForm(size=MAX_PAGE), params)
        follows = answer.get("nextPageToken")
        items = extract_records(endpoints.AUDIT_LOGS, answer)
        return items, follows if isinstance(follows, str) else None

    def _fail_fast_policy(self) -> RetryPolicy:
        """For the first call: a wrong address should be said soon."""
        return replace(self.http.policy, attempts=4, connection_attempts=4)


def _entity_list(endpoint: Endpoint, found: Iterable[Item], walked: PaginationStats) -> EntityList:
    """Return the items found by a walk, once that is over, with what is odd about them."""
    items, left_out = split_keyed(found, record_key(endpoint.key))
    return EntityList(
        [with_typed_key(item, endpoint.key) for item in items],
        complete=walked.count_matches and not walked.was_modified and not left_out,
        left_out=left_out,
        repeated=count_keyed(walked.repeated),
        total=None if walked.count_matches or walked.was_modified else walked.reported_totals[-1],
    )


def _of(endpoint: Endpoint, where: PathScope) -> Params:
    return _workspace_params(where.workspace_id) if endpoint.scoped else {}
