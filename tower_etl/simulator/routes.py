"""The routes of runs and their tasks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from starlette.routing import Route

from tower_etl.simulator.access import endpoint, find_place, find_run
from tower_etl.simulator.parameters import (
    read_attributes,
    read_flag,
    read_page,
    refuse,
)
from tower_etl.simulator.search import Search, matches, parse_search

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.requests import Request

    from tower_etl.simulator.editions import ServerProfile
    from tower_etl.simulator.runs import Row, Run
    from tower_etl.simulator.world import World

_RUNS_BY_DEFAULT = 50
_TASKS_BY_DEFAULT = 10
_OPTIONAL = ("labels", "optimized", "messages", "pipelineInfo")


@dataclass(frozen=True)
class RunRoutes:
    """One method per endpoint (see `Routes` for the attributes)."""

    world: World
    profile: ServerProfile

    def list_routes(self) -> list[Route]:
        """The routes, below `/api`."""
        return [
            Route("/workflow", self.list_workflows),
            Route("/workflow/{run_id}", self.describe_workflow),
            Route("/workflow/{run_id}/tasks", self.list_tasks),
            Route("/workflow/{run_id}/metrics", self.list_metrics),
            Route("/workflow/{run_id}/progress", self.describe_progress),
        ]

    @endpoint
    def list_workflows(self, request: Request) -> Row:
        """`/workflow`: runs of a workspace, newest submission first."""
        quirks = self.profile.quirks
        key, page = find_place(self, request), read_page(request, _RUNS_BY_DEFAULT, quirks)
        attributes = read_attributes(request, quirks)
        search = self._read_search(request)
        found = self._iter_found(key, search)
        shown = list(islice(found, page.offset, page.offset + page.size))
        answer: Row = {"workflows": [self._element(run, attributes) for run in shown]}
        if not self.profile.legacy:
            answer["hasMore"] = next(found, None) is not None
            counted = read_flag(request, "includeTotalSize")
            whole = self._iter_found(key, search) if counted else ()
            answer["totalSize"] = sum(1 for _ in whole)
        return answer

    @endpoint
    def describe_workflow(self, request: Request) -> Row:
        """`/workflow/{id}`, with its progress."""
        quirks = self.profile.quirks
        run, attributes = find_run(self, request), read_attributes(request, quirks)
        answer = self.world.describe(run.id)
        for name in _OPTIONAL:
            if name not in attributes:
                answer[name] = None
        answer["workflow"] = self.profile.edition.trim("workflow", answer["workflow"])
        answer["progress"] = self.profile.edition.trim_progress(answer["progress"])
        return self.profile.edition.trim("description", answer)

    @endpoint
    def list_tasks(self, request: Request) -> Row:
        """`/workflow/{id}/tasks`, by `taskId` unless sorted otherwise."""
        quirks = self.profile.quirks
        run, page = find_run(self, request), read_page(request, _TASKS_BY_DEFAULT, quirks)
        tasks = _sort_tasks(request, run.tasks(self.world.now_s()))
        if words := request.query_params.get("search", "").lower():
            tasks = [task for task in tasks if words in str(task["name"]).lower()]
        shown = self.profile.edition.trim_tasks(tasks[page.offset : page.offset + page.size])
        end = page.offset + len(shown)
        total = {} if self.profile.legacy else quirks.count_tasks(len(tasks), end)
        return {"tasks": [{"task": task} for task in shown], **total}

    @endpoint
    def list_metrics(self, request: Request) -> Row:
        """`/workflow/{id}/metrics`, not paged."""
        return {"metrics": find_run(self, request).metrics(self.world.now_s())}

    @endpoint
    def describe_progress(self, request: Request) -> Row:
        """`/workflow/{id}/progress`."""
        progress = find_run(self, request).progress(self.world.now_s())
        return {"progress": self.profile.edition.trim_progress(progress)}

    def _read_search(self, request: Request) -> Search:
        text, way = request.query_params.get("search", ""), self.profile.quirks.search
        if text and way == "refused":
            raise refuse(400, f"Invalid search: {text}")
        if text and way != "bounds":
            return Search(words=(text.lower(),) if way == "words" else ())
        try:
            return parse_search(text)
        except ValueError as fault:
            raise refuse(400, str(fault)) from fault

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
        element["workflow"] = self.profile.edition.trim("workflow", element["workflow"])
        return self.profile.edition.trim("element", element)


def _sort_tasks(request: Request, tasks: Sequence[Row]) -> Sequence[Row]:
    field = request.query_params.get("sortBy", "taskId")
    down = request.query_params.get("sortDir", "asc").lower() == "desc"
    if field == "taskId":
        return list(reversed(tasks)) if down else tasks
    if tasks and field not in tasks[0]:
        raise refuse(400, f"Invalid value for parameter sortBy: {field}")
    # Nulls come last; comparing text keeps fields of any type in some order.
    return sorted(tasks, key=lambda task: (task[field] is None, str(task[field])), reverse=down)
