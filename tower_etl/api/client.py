"""One short method per endpoint of the platform's API."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.api.ahead import walk_at_rest
from tower_etl.api.calls import Calls, params_of
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.items import TASK_KEY, key_of, malformed, run_key, take_items
from tower_etl.api.pages import Walked, walk_growing, walk_newest_first
from tower_etl.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from datetime import datetime

    from tower_etl.api.calls import Params
    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.pages import FetchPage, Item, Taker
    from tower_etl.http import RetryPolicy, Transport

_LABELS = "labels"
_ATTRIBUTES = "labels,optimized,messages,pipelineInfo"
_MAX_LISTED = 2_000_000  # a list without end is left there
_MAX_TASKS = 1_000_000  # of one run: they are held in memory until all of them are there


def format_moment(moment: datetime) -> str:
    """`YYYY-MM-DDThh:mm:ss.sssZ`, as `after:` and `before:` take it (API fact 4).

    Microseconds are cut, not rounded: both bounds are inclusive, and `after:` must not pass over.
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True)
class Found:
    """A list of an endpoint.

    Attributes:
        items: What it holds, each once.
        complete: Whether what it lacks is not there for sure: no page moved, and the server's own
            count, if it gave one, agrees.
    """

    items: list[Item]
    complete: bool


@dataclass(frozen=True)
class Where:
    """What a list is of.

    Attributes:
        workspace_id: Workspace, None for the personal one.
        org_id: Organisation, where the path names one.
        parent_id: Team or pipeline, where the path names one.
    """

    workspace_id: int | None = None
    org_id: int | None = None
    parent_id: int | None = None


class TowerClient:
    """Reads one platform, with whatever its token can see. Every method may raise `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._calls = Calls(transport)
        self._attributes = _ATTRIBUTES
        self._counts_tasks = True
        self._plain: set[str] = set()

    def with_attempts(self, attempts: int) -> TowerClient:
        """Return a client that shares everything with this one, but retries server faults less.

        Args:
            attempts: Tries of a call that the server fails, the first included. A refusal by the
                rate limit (429) is retried as before.
        """
        twin = copy(self)
        policy = replace(self.transport.policy, fault_attempts=attempts)
        twin.transport = self.transport.with_policy(policy)
        twin._calls = Calls(twin.transport)  # noqa: SLF001 an object of this class
        return twin

    def check_listing(self, workspace_id: int | None) -> None:
        """List one run of a workspace, to learn whether the workspace answers at all."""
        self._calls.get(endpoints.RUNS, params_of(workspace_id) | {"max": 1})

    def fetch_service_info(self) -> Item:
        """Version and abilities of the server; needs no token (API fact 11)."""
        return self._calls.get_object(endpoints.SERVICE_INFO, policy=self._impatient())

    def fetch_user(self) -> Item:
        """The user that the token belongs to."""
        return self._calls.get_object(endpoints.USER_INFO)

    def list_user_workspaces(self, user_id: int) -> list[Item]:
        """Organisations and workspaces of the user; a null `workspaceId` is an organisation."""
        return self._calls.get_list(endpoints.USER_WORKSPACES, user_id=user_id)

    def list_organizations(self) -> list[Item]:
        """Organisations that the token sees."""
        return self._calls.get_list(endpoints.ORGANIZATIONS)

    def list_org_workspaces(self, org_id: int) -> list[Item]:
        """Workspaces of one organisation."""
        return self._calls.get_list(endpoints.ORG_WORKSPACES, org_id=org_id)

    def list_labels(self, workspace_id: int | None) -> list[Item]:
        """Labels of a workspace."""
        fetch = self._calls.paged(endpoints.LABELS, _MAX_LISTED, params_of(workspace_id))
        walk = walk_newest_first(fetch, key_of(endpoints.LABELS, "id"), Walked())
        return [label for page in walk for label in page]

    def iter_runs(
        self,
        workspace_id: int | None,
        walked: Walked,
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
        params = params_of(workspace_id) | {"attributes": "labels", "includeTotalSize": "true"}
        bounds = [("after", after), ("before", before)]
        search = " ".join(f"{name}:{format_moment(when)}" for name, when in bounds if when)
        if search:
            params["search"] = search
        fetch = self._calls.paged(endpoints.RUNS, _MAX_LISTED, params)
        return walk_newest_first(fetch, run_key, walked)

    def describe_run(self, workspace_id: int | None, run_id: str) -> Item:
        """One run with its progress and labels (API fact 14).

        A server that does not know one of the attributes answers 400, and is asked for less from
        then on.
        """
        asked = self._attributes
        try:
            return self._describe(workspace_id, run_id, asked)
        except BadRequestError:
            if asked == _LABELS:
                raise
        described = self._describe(workspace_id, run_id, _LABELS)
        self._attributes = _LABELS
        return described

    def is_listed(self, workspace_id: int | None, run_id: str) -> bool:
        """Whether the listing of the workspace shows a run."""
        params = params_of(workspace_id)
        params["search"] = f"workflowId:{run_id}"
        page = self._calls.get_page(endpoints.RUNS, 0, params)
        return any(run_key(element) == run_id for element in page.items)

    def list_tasks(self, workspace_id: int | None, run_id: str, start: int = 0) -> list[Item]:
        """Tasks of a run, by ascending `taskId`, from an offset on."""
        pages: list[list[Item]] = self.walk_tasks(workspace_id, run_id, list, start)
        return [task for page in pages for task in page]

    def walk_tasks(
        self, workspace_id: int | None, run_id: str, make: Callable[[], Taker], start: int = 0
    ) -> Taker:
        """The same, page by page into what `make` gives, which is handed back."""
        fetch = self._task_pages(workspace_id, run_id)
        return walk_growing(fetch, TASK_KEY, make, start)

    def walk_final_tasks(
        self, workspace_id: int | None, run_id: str, make: Callable[[], Taker], pool: Executor
    ) -> Taker:
        """All tasks of a run that is final, likewise, with the help of idle threads.

        A server whose counts are not to be relied on is asked for one page after the other from
        then on.
        """
        if self._counts_tasks:
            fetch = self._task_pages(workspace_id, run_id)
            taker = walk_at_rest(fetch, TASK_KEY, make, pool)
            if taker is not None:
                return taker
            self._counts_tasks = False
        return self.walk_tasks(workspace_id, run_id, make)

    def _task_pages(self, workspace_id: int | None, run_id: str) -> FetchPage:
        params = params_of(workspace_id)
        return self._calls.paged(endpoints.RUN_TASKS, _MAX_TASKS, params, run_id=run_id)

    def list_metrics(self, workspace_id: int | None, run_id: str) -> list[Item]:
        """Resource metrics of a run, one element per process."""
        return self._calls.get_list(endpoints.RUN_METRICS, params_of(workspace_id), run_id=run_id)

    def list_entities(self, endpoint: Endpoint, where: Where) -> Found:
        """All items of an endpoint, page by page where it has pages.

        A server that does not know what is asked for beside them answers 400, and is asked for the
        bare list from then on.
        """
        if endpoint.path not in self._plain:
            try:
                return self._find(endpoint, where, _extras(endpoint))
            except BadRequestError:
                if not _extras(endpoint):
                    raise
        found = self._find(endpoint, where, {})
        self._plain.add(endpoint.path)
        return found

    def probe(self, endpoint: Endpoint, where: Where, **names: object) -> Item | None:
        """Ask for one item, to see whether the token may; None where there is none."""
        params: Params = {"max": 1} if endpoint.paged else {}
        names = asdict(where) | names
        found = self._calls.get_list(endpoint, _of(endpoint, where) | params, **names)
        return found[0] if found else None

    def describe_launch(self, workspace_id: int | None, launch_id: str) -> Item:
        """What a run was launched from."""
        answer = self._calls.get(endpoints.LAUNCH, params_of(workspace_id), launch_id=launch_id)
        found = answer.get(endpoints.LAUNCH.items)
        if isinstance(found, dict):
            return found
        raise malformed(endpoints.LAUNCH, "object")

    def page_audit_logs(
        self, after: datetime | None, before: datetime, token: str | None
    ) -> tuple[list[Item], str | None]:
        """A page of the audit log, newest entry first, and the token of the page after it.

        Args:
            after: Earliest entry, inclusive.
            before: Latest entry, inclusive.
            token: Of the page, None for the first.
        """
        asked = {"timestampBeforeOrEqual": format_moment(before), "nextPageToken": token}
        asked["timestampAfterOrEqual"] = format_moment(after) if after else None
        params = {name: value for name, value in asked.items() if value is not None}
        answer = self._calls.get(endpoints.AUDIT_LOGS, {"max": MAX_PAGE} | params)
        follows = answer.get("nextPageToken")
        items = take_items(endpoints.AUDIT_LOGS, answer)
        return items, follows if isinstance(follows, str) else None

    def _find(self, endpoint: Endpoint, where: Where, extras: Params) -> Found:
        params, names = _of(endpoint, where) | extras, asdict(where)
        key = key_of(endpoint, *endpoint.key)
        if not endpoint.paged:
            whole = self._calls.get_list(endpoint, params, **names)
            _ = [key(item) for item in whole]  # raises where one has none
            return Found(whole, complete=True)
        walked = Walked()
        fetch = self._calls.paged(endpoint, _MAX_LISTED, params, **names)
        pages = walk_newest_first(fetch, key, walked)
        items = [item for page in pages for item in page]
        return Found(items, complete=walked.is_counted and not walked.disturbed)

    def _describe(self, workspace_id: int | None, run_id: str, attributes: str) -> Item:
        """The answer for a run, which must be of that run: its rows replace those there are."""
        params = params_of(workspace_id) | {"attributes": attributes}
        described = self._calls.get(endpoints.RUN, params, run_id=run_id)
        if run_key(described) != run_id:
            raise malformed(endpoints.RUN, f"run {run_id}")
        return described

    def _impatient(self) -> RetryPolicy:
        """For the first call: a wrong address should be said soon."""
        return replace(self.transport.policy, attempts=4, unreachable_attempts=4)


def _of(endpoint: Endpoint, where: Where) -> Params:
    return params_of(where.workspace_id) if endpoint.scoped else {}


def _extras(endpoint: Endpoint) -> Params:
    attributes = {"attributes": endpoint.attributes} if endpoint.attributes else {}
    return {**attributes, **endpoint.filters}
