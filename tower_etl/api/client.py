"""One short method per endpoint of the platform's API."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.api.ahead import walk_at_rest
from tower_etl.api.around import walk_around
from tower_etl.api.calls import Calls, params_of
from tower_etl.api.compatibility import Compatibility, Form
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.findings import Findings
from tower_etl.api.growing import Tally, walk_growing
from tower_etl.api.items import (
    key_of,
    malformed,
    run_key,
    split_keyed,
    take_items,
    take_object,
    task_key,
)
from tower_etl.api.negotiation import Negotiation
from tower_etl.api.pages import Walked, walk_newest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from tower_etl.api.around import KnownRange
    from tower_etl.api.calls import Params
    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.growing import Taker
    from tower_etl.api.pages import FetchPage, Item
    from tower_etl.http import RetryPolicy, Transport

_MAX_LISTED = 2_000_000  # a list without end is left there
_TASKS = f"GET {endpoints.RUN_TASKS.path}"
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
        complete: Whether what it lacks is not there for sure: no page moved, the server's own
            count, if it gave one, agrees, and no element was left out.
        left_out: Elements without a key.
    """

    items: list[Item]
    complete: bool
    left_out: int = 0


@dataclass(frozen=True)
class Where:
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
        transport: Carries the calls.
        compatibility: What the server is known not to support.
        findings: What was odd in its answers.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.compatibility = Compatibility()
        self.findings = Findings()
        self._calls = Calls(transport, Negotiation(self.compatibility))

    def list_reports(self) -> list[str]:
        """Return what the user should know of the server's answers, one message a matter."""
        spent = self.transport.meter.read()
        repaired = (
            f"{spent.repaired} answer(s) were not valid JSON and were repaired, the first one "
            f"{spent.repair}. Report it to the administrator of the server."
        )
        news, found = self.compatibility.news, self.findings.list_messages()
        return [*news, *found, *([repaired] if spent.repaired else ())]

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
        return self.list_entities(endpoints.LABELS, Where(workspace_id)).items

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
        params = params_of(workspace_id) | {"includeTotalSize": "true"}
        bounds = [("after", after), ("before", before)]
        search = " ".join(f"{name}:{format_moment(when)}" for name, when in bounds if when)
        if search:
            params["search"] = search
        fetch = self._calls.paged(endpoints.RUNS, _MAX_LISTED, params)
        return walk_newest_first(fetch, run_key, walked, f"GET {endpoints.RUNS.path}")

    def describe_run(self, workspace_id: int | None, run_id: str) -> Item:
        """One run with its progress and labels, as far as the server knows them (API fact 14).

        The answer must be of that run: its rows replace those there are.
        """
        described = self._calls.describe(endpoints.RUN, params_of(workspace_id), run_id=run_id)
        if run_key(described) != run_id:
            raise malformed(endpoints.RUN, f"run {run_id}")
        return described

    def is_listed(self, workspace_id: int | None, run_id: str) -> bool:
        """Whether the listing of the workspace shows a run."""
        params = params_of(workspace_id)
        params["search"] = f"workflowId:{run_id}"
        params |= {"offset": 0}
        answer, _ = self._calls.ask(endpoints.RUNS, Form(size=MAX_PAGE), params)
        return any(run_key(element) == run_id for element in take_items(endpoints.RUNS, answer))

    def list_tasks(self, workspace_id: int | None, run_id: str) -> list[Item]:
        """Tasks of a run, by ascending `taskId`."""
        pages: list[list[Item]] = self.walk_tasks(workspace_id, run_id, list)
        return list({task_key(task): task for page in pages for task in page}.values())

    def walk_tasks(
        self,
        workspace_id: int | None,
        run_id: str,
        make: Callable[[], Taker],
        tally: Tally | None = None,
    ) -> Taker:
        """The same, page by page into what `make` gives, which is handed back."""
        fetch = self._task_pages(workspace_id, run_id)
        return walk_growing(fetch, task_key, make, tally, _TASKS)

    def walk_final_tasks(
        self,
        workspace_id: int | None,
        run_id: str,
        make: Callable[[], Taker],
        pool: Executor,
        tally: Tally | None = None,
    ) -> Taker:
        """All tasks of a run that is final, likewise, with the help of idle threads.

        A server whose counts are not exact is asked for one page after the other from then on.
        """
        tally = tally or Tally()
        if self.compatibility.counts_tasks:
            fetch = self._task_pages(workspace_id, run_id)
            taker = walk_at_rest(fetch, task_key, make, pool, tally)
            if not tally.is_exact:
                self.compatibility.counts_tasks = False
            if taker is not None:
                return taker
        return self.walk_tasks(workspace_id, run_id, make, tally)

    def walk_tasks_around(
        self, workspace_id: int | None, run_id: str, known: Sequence[KnownRange], tally: Tally
    ) -> list[tuple[int, Item]] | None:
        """Tasks outside of known ranges, with their offsets; None where those have moved."""
        fetch = self._task_pages(workspace_id, run_id)
        return walk_around(fetch, task_key, known, tally)

    def _task_pages(self, workspace_id: int | None, run_id: str) -> FetchPage:
        params = params_of(workspace_id)
        return self._calls.paged(endpoints.RUN_TASKS, _MAX_TASKS, params, run_id=run_id)

    def list_metrics(self, workspace_id: int | None, run_id: str) -> list[Item]:
        """Resource metrics of a run, one element per process."""
        return self._calls.get_list(endpoints.RUN_METRICS, params_of(workspace_id), run_id=run_id)

    def list_entities(self, endpoint: Endpoint, where: Where) -> Found:
        """All items of an endpoint, page by page where it has pages.

        Elements without a key are left out: nothing could tell them apart the next time.
        """
        params, names = {**_of(endpoint, where), **endpoint.filters}, asdict(where)
        key = key_of(*endpoint.key)
        if not endpoint.paged:
            answer = self._calls.describe(endpoint, params, **names)
            if not endpoint.key:  # one object that belongs to its place
                return Found(take_items(endpoint, answer), complete=True)
            items, left_out = split_keyed(take_items(endpoint, answer), key)
            return Found(items, complete=not left_out, left_out=left_out)
        walked, name = Walked(), f"GET {endpoint.path}"
        fetch = self._calls.paged(endpoint, _MAX_LISTED, params, **names)
        pages = walk_newest_first(fetch, key, walked, name)
        items, left_out = split_keyed((item for page in pages for item in page), key)
        is_whole = walked.is_counted and not walked.disturbed and not left_out
        return Found(items, complete=is_whole, left_out=left_out)

    def describe_entity(self, endpoint: Endpoint, where: Where) -> Item:
        """Return one item, with more than the list of such items says of it.

        Raises:
            ServerFaultError: The answer is about another item.
        """
        (item,) = self._calls.get_list(endpoint, _of(endpoint, where), **asdict(where))
        if item.get("id") == where.parent_id:
            return item
        raise malformed(endpoint, f"object with the id {where.parent_id}")

    def probe(self, endpoint: Endpoint, where: Where, **names: object) -> Item | None:
        """Ask for one item, to see whether the token may; None where there is none."""
        params: Params = {"max": 1} if endpoint.paged else {}
        names = asdict(where) | names
        found = self._calls.get_list(endpoint, _of(endpoint, where) | params, **names)
        return found[0] if found else None

    def describe_launch(self, workspace_id: int | None, launch_id: str) -> Item:
        """Return what a run was launched from, with its compute environment."""
        answer = self._calls.get(endpoints.LAUNCH, params_of(workspace_id), launch_id=launch_id)
        return take_object(endpoints.LAUNCH, answer)

    def list_launch_datasets(self, workspace_id: int | None, launch_id: str) -> list[Item]:
        """Return the versions of datasets that a launch reads."""
        params = params_of(workspace_id)
        return self._calls.get_list(endpoints.LAUNCH_DATASETS, params, launch_id=launch_id)

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
        params: Params = {name: value for name, value in asked.items() if value is not None}
        answer, _ = self._calls.ask(endpoints.AUDIT_LOGS, Form(size=MAX_PAGE), params)
        follows = answer.get("nextPageToken")
        items = take_items(endpoints.AUDIT_LOGS, answer)
        return items, follows if isinstance(follows, str) else None

    def _impatient(self) -> RetryPolicy:
        """For the first call: a wrong address should be said soon."""
        return replace(self.transport.policy, attempts=4, unreachable_attempts=4)


def _of(endpoint: Endpoint, where: Where) -> Params:
    return params_of(where.workspace_id) if endpoint.scoped else {}
