"""Routes of runs, their tasks, metrics and progress."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tower_etl.simulator.parameters import http_error, read_attributes, read_flag, read_page
from tower_etl.simulator.routes.base import RouteGroup, get
from tower_etl.simulator.search import Search, matches, parse_search

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Run, Snapshot

_DEFAULT_RUNS = 50
_DEFAULT_TASKS = 10
_OPTIONAL = ("labels", "optimized", "messages", "pipelineInfo")


class RunRoutes(RouteGroup):
    """Handlers for runs."""

    @get("/workflow")
    def list_workflows(self, request: Request) -> Row:
        """Return a page of the runs of a workspace, newest submission first."""
        quirks = self.profile.quirks
        key, page = self.requested_workspace(request), read_page(request, _DEFAULT_RUNS, quirks)
        attributes = read_attributes(request, quirks)
        search = self._read_search(request)
        found = self._iter_found(key, search)
        shown = list(islice(found, page.rows.start, page.rows.stop))
        content: Row = {"workflows": [self._element(run, attributes) for run in shown]}
        if not self.profile.legacy:
            content["hasMore"] = next(found, None) is not None
            counted = read_flag(request, "includeTotalSize")
            every = self._iter_found(key, search) if counted else ()
            content["totalSize"] = sum(1 for _ in every)
        return content

    @get("/workflow/{run_id}")
    def describe_workflow(self, request: Request) -> Row:
        """Return a run with its progress."""
        run = self.requested_run(request)
        attributes = read_attributes(request, self.profile.quirks)
        content = self.world.describe(run.id)
        for name in _OPTIONAL:
            if name not in attributes:
                content[name] = None
        api = self.profile.api
        content["workflow"] = api.filter_fields("workflow", content["workflow"])
        content["progress"] = api.filter_progress(content["progress"])
        return api.filter_fields("description", content)

    @get("/workflow/{run_id}/tasks")
    def list_tasks(self, request: Request) -> Row:
        """Return a page of the tasks of a run, by `taskId` unless sorted otherwise."""
        quirks = self.profile.quirks
        snapshot, page = self._snapshot(request), read_page(request, _DEFAULT_TASKS, quirks)
        tasks = _sort_tasks(request, snapshot.tasks.rows)
        if words := request.query_params.get("search", "").lower():
            tasks = [task for task in tasks if words in str(task["name"]).lower()]
        shown = self.profile.api.filter_tasks(tasks[page.rows])
        end = page.offset + len(shown)
        total = {} if self.profile.legacy else quirks.task_totals(len(tasks), end)
        return {"tasks": [{"task": task} for task in shown], **total}

    @get("/workflow/{run_id}/metrics")
    def list_metrics(self, request: Request) -> Row:
        """Return the metrics of a run, not paged."""
        return {"metrics": self._snapshot(request).tasks.metrics}

    @get("/workflow/{run_id}/progress")
    def describe_progress(self, request: Request) -> Row:
        """Return the progress of a run."""
        progress = self._snapshot(request).tasks.progress
        return {"progress": self.profile.api.filter_progress(progress)}

    def _snapshot(self, request: Request) -> Snapshot:
        return self.requested_run(request).at(self.world.now_s())

    def _read_search(self, request: Request) -> Search:
        text, mode = request.query_params.get("search", ""), self.profile.quirks.search
        if text and mode == "refused":
            raise http_error(400, f"Invalid search: {text}")
        if text and mode != "bounds":
            return Search(words=(text.lower(),) if mode == "words" else ())
        try:
            return parse_search(text)
        except ValueError as error:
            raise http_error(400, str(error)) from error

    def _iter_found(self, key: int, search: Search) -> Iterator[Run]:
        for run in self.world.iter_runs(key, search.before_s):
            if run.submit_s < search.after_s:
                return
            if matches(search, run, self.world.labels_of(run), self.world.now_s()):
                yield run

    def _element(self, run: Run, attributes: frozenset[str]) -> Row:
        element = self.world.element(run)
        for name in _OPTIONAL:
            if name in element and name not in attributes:
                element[name] = None
        element["workflow"] = self.profile.api.filter_fields("workflow", element["workflow"])
        return self.profile.api.filter_fields("element", element)


def _sort_tasks(request: Request, tasks: Sequence[Row]) -> Sequence[Row]:
    field = request.query_params.get("sortBy", "taskId")
    descending = request.query_params.get("sortDir", "asc").lower() == "desc"
    if field == "taskId":
        return list(reversed(tasks)) if descending else tasks
    if tasks and field not in tasks[0]:
        raise http_error(400, f"Invalid value for parameter sortBy: {field}")
    # Nulls come last; comparing text orders fields of any type.
    return sorted(
        tasks, key=lambda task: (task[field] is None, str(task[field])), reverse=descending
    )
