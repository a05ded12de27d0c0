"""Routes of runs: listing with its search, details, tasks, metrics, progress and launches."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from tower_etl.simulator.clock import parse_timestamp
from tower_etl.simulator.data import fill
from tower_etl.simulator.routes.base import RouteGroup, denied, get
from tower_etl.simulator.routes.reference import embed_compute_env
from tower_etl.simulator.state import ACCOUNT_TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Run, Snapshot

_DEFAULT_RUNS = 50
_DEFAULT_TASKS = 10
_OPTIONAL = ("labels", "optimized", "messages", "pipelineInfo")
_KEYWORDS = frozenset({"status", "label", "workflowid", "username", "projectname"})


@dataclass
class Search:
    """Conditions on a run, all of which must hold.

    Attributes:
        after_s: Earliest submission, epoch seconds, inclusive.
        before_s: Latest submission, epoch seconds, inclusive.
        filters: Pairs of keyword (lower case) and value.
        words: Texts that the run's name contains, lower case.
    """

    after_s: float = float("-inf")
    before_s: float = float("inf")
    filters: list[tuple[str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def add(self, token: str) -> None:
        """Add the condition of `keyword:value` or of a word."""
        keyword, colon, value = token.partition(":")
        if colon and keyword.lower() in {"after", "before"}:
            setattr(self, f"{keyword.lower()}_s", _parse_time(keyword, value))
        elif colon and keyword.lower() in _KEYWORDS:
            self.filters.append((keyword.lower(), value))
        else:
            self.words.append(token.lower())


def _parse_time(keyword: str, value: str) -> float:
    try:
        return parse_timestamp(value)
    except ValueError as error:
        raise HTTPException(400, f"Invalid date in search: {keyword}:{value}") from error


def _parse_search(text: str) -> Search:
    search = Search()
    try:
        tokens = shlex.split(text)
    except ValueError as error:
        raise HTTPException(400, f"Unbalanced quotes in search: {text}") from error
    for token in tokens:
        search.add(token)
    return search


def _holds(keyword: str, value: str, workflow: Row, labels: Sequence[Row]) -> bool:
    match keyword:
        case "status":
            return str(workflow["status"]).lower() == value.lower()
        case "label":
            name, equals, expected = value.partition("=")
            named = [label for label in labels if label["name"] == name]
            return any(not equals or label["value"] == expected for label in named)
        case "workflowid":
            return bool(workflow["id"] == value)
        case "username":
            return bool(workflow["userName"] == value)
        case _:
            return value.lower() in str(workflow["projectName"]).lower()


class RunRoutes(RouteGroup):
    """Handlers for runs and launches."""

    @get("/workflow")
    def list_workflows(self, request: Request) -> Row:
        """Return a page of the runs of a workspace, newest submission first."""
        key, page = self.requested_workspace(request), self.read_page(request, _DEFAULT_RUNS)
        attributes = self.read_attributes(request)
        search = self._read_search(request)
        found = self._iter_found(key, search)
        shown = list(islice(found, page.start, page.stop))
        content: Row = {"workflows": [self._element(run, attributes) for run in shown]}
        if not self.profile.legacy:
            content["hasMore"] = next(found, None) is not None
            is_counted = request.query_params.get("includeTotalSize", "").lower() == "true"
            every = self._iter_found(key, search) if is_counted else ()
            content["totalSize"] = sum(1 for _ in every)
        return content

    @get("/workflow/{run_id}")
    def describe_workflow(self, request: Request) -> Row:
        """Return a run with its progress."""
        run = self.requested_run(request)
        attributes, profile = self.read_attributes(request), self.profile
        content = self.world.describe(run.id)
        content |= dict.fromkeys(name for name in _OPTIONAL if name not in attributes)
        content["workflow"] = profile.filter_fields("workflow", content["workflow"])
        content["progress"] = profile.filter_progress(content["progress"])
        return profile.filter_fields("description", content)

    @get("/workflow/{run_id}/tasks")
    def list_tasks(self, request: Request) -> Row:
        """Return a page of the tasks of a run, by `taskId` unless sorted otherwise."""
        snapshot, page = self._snapshot(request), self.read_page(request, _DEFAULT_TASKS)
        tasks = _sort_tasks(request, snapshot.tasks.rows)
        if words := request.query_params.get("search", "").lower():
            tasks = [task for task in tasks if words in str(task["name"]).lower()]
        shown = self.profile.filter_tasks(tasks[page])
        end = page.start + len(shown)
        total = {} if self.profile.legacy else self.profile.quirks.task_totals(len(tasks), end)
        return {"tasks": [{"task": task} for task in shown], **total}

    @get("/workflow/{run_id}/metrics")
    def list_metrics(self, request: Request) -> Row:
        """Return the metrics of a run, not paged."""
        return {"metrics": self._snapshot(request).tasks.metrics}

    @get("/workflow/{run_id}/progress")
    def describe_progress(self, request: Request) -> Row:
        """Return the progress of a run."""
        return {"progress": self.profile.filter_progress(self._snapshot(request).tasks.progress)}

    @get("/workflow/{run_id}/launch")
    def describe_run_launch(self, request: Request) -> Row:
        """Return the launch of a run; runs started from the command line have none."""
        run = self.requested_run(request)
        workflow = run.at(self.world.now_s()).workflow
        if workflow.get("launchId") is None:
            raise HTTPException(404, f"No launch for workflow {workflow['id']}")
        return self._describe_launch(run, workflow)

    @get("/launch/{launch_id}")
    def describe_launch(self, request: Request) -> Row:
        """Return a launch."""
        run = self._requested_launch(request)
        workflow = run.at(self.world.now_s()).summary
        return self._describe_launch(
            run,
            workflow,
            runName=workflow["runName"],
            workspaceId=self.world.workspaces[run.workspace_id].id,
            lastUpdated=workflow["submit"],
            headJobCpus=None,
            headJobMemoryMb=None,
        )

    @get("/launch/{launch_id}/datasets", legacy=False)
    def list_launch_datasets(self, request: Request) -> Row:
        """Return the datasets of a launch; every second launch has those of its workspace."""
        run, launch_id = self._requested_launch(request), request.path_params["launch_id"]
        rows = self.world.list_entities("launchDatasets", run.workspace_id)
        if not rows and sum(launch_id.encode()) % 2:
            rows = self.world.list_entities("datasetVersions", run.workspace_id)
        shown = [self.profile.filter_fields("datasetVersions", row) for row in rows]
        return {"versions": shown, "totalSize": len(shown)}

    def _snapshot(self, request: Request) -> Snapshot:
        return self.requested_run(request).at(self.world.now_s())

    def _read_search(self, request: Request) -> Search:
        text, mode = request.query_params.get("search", ""), self.profile.quirks.search
        if mode == "bounds" or not text:
            return _parse_search(text)
        if mode == "refused":
            raise HTTPException(400, f"Invalid search: {text}")
        return Search(words=[text.lower()] if mode == "words" else [])

    def _iter_found(self, key: int, search: Search) -> Iterator[Run]:
        for run in self.world.iter_runs(key, search.before_s):
            if run.submit_s < search.after_s:
                return
            if self._matches(run, search):
                yield run

    def _matches(self, run: Run, search: Search) -> bool:
        if not search.filters and not search.words:
            return True
        workflow, labels = run.at(self.world.now_s()).fields, self.world.labels_of(run)
        name = str(workflow["runName"]).lower()
        return all(word in name for word in search.words) and all(
            _holds(keyword, value, workflow, labels) for keyword, value in search.filters
        )

    def _element(self, run: Run, attributes: frozenset[str]) -> Row:
        element = self.world.element(run)
        hidden = [name for name in _OPTIONAL if name in element and name not in attributes]
        element |= dict.fromkeys(hidden)
        element["workflow"] = self.profile.filter_fields("workflow", element["workflow"])
        return self.profile.filter_fields("element", element)

    def _requested_launch(self, request: Request) -> Run:
        key, launch_id = self.requested_workspace(request), request.path_params["launch_id"]
        run = self.world.find_launched(key, launch_id)
        if run is None:
            raise denied()
        return run

    def _describe_launch(self, run: Run, workflow: Row, **fields: object) -> Row:
        # The listing has no version; old dumps have null instead of false.
        values = {"nextflowVersion": None} | workflow | {"resume": bool(workflow["resume"])}
        launch = fill(ACCOUNT_TEMPLATES["launch"], values) | fields
        launch["computeEnv"] = None
        if env := self.world.find_compute_env(run):
            shown = embed_compute_env(env, self.world.workspaces[run.workspace_id])
            launch["computeEnv"] = self.profile.filter_fields("computeEnv", shown)
        return {"launch": self.profile.filter_fields("launch", launch)}


def _sort_tasks(request: Request, tasks: Sequence[Row]) -> Sequence[Row]:
    field = request.query_params.get("sortBy", "taskId")
    descending = request.query_params.get("sortDir", "asc").lower() == "desc"
    if field == "taskId":
        return list(reversed(tasks)) if descending else tasks
    if tasks and field not in tasks[0]:
        raise HTTPException(400, f"Invalid value for parameter sortBy: {field}")
    # Nulls come last; comparing text orders fields of any type.
    return sorted(
        tasks, key=lambda task: (task[field] is None, str(task[field])), reverse=descending
    )
