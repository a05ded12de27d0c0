"""The world behind the simulated API: its runs, what happens to them, and the truth about them."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.simulator import manual
from tower_etl.simulator.directory import Directory
from tower_etl.simulator.manual import ManualRun
from tower_etl.simulator.runs import Run
from tower_etl.simulator.timeline import SimClock, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tower_etl.simulator.runs import Row

_Place = tuple[float, int, Run]


@dataclass
class World(Directory):
    """Runs beside the directory. Rows are in the API's shape; what they say depends on the clock.

    Seeded and replayed runs follow their own time. Manual runs change by events alone: each of
    them moves `lastUpdated` of what it touches, except labels, stars and deletions.

    Attributes:
        starred: Ids of runs with a star.
        deleted: Ids of runs that the API no longer shows.
    """

    starred: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    _runs: dict[str, Run] = field(default_factory=dict, repr=False)
    _places: dict[int, list[_Place]] = field(default_factory=dict, repr=False)
    _launched: dict[str, list[Run]] = field(default_factory=dict, repr=False)

    @classmethod
    def empty(cls, clock: SimClock | None = None) -> World:
        """A world with nothing in it."""
        return cls(clock=clock or SimClock())

    def add_run(self, run: Run) -> None:
        """Take a run in, at its place in the listing of its workspace."""
        with self.lock:
            places = self._places.setdefault(run.workspace_id, [])
            bisect.insort(places, (run.submit_s, len(self._runs), run))
            self._runs[run.id] = run
            if run.launch_id is not None:
                self._launched.setdefault(run.launch_id, []).append(run)

    def find_run(self, run_id: str) -> Run:
        """The run with that id, deleted or not.

        Raises:
            KeyError: There never was such a run.
        """
        if run_id not in self._runs:
            msg = f"No run has the id {run_id}."
            raise KeyError(msg)
        return self._runs[run_id]

    def run_ids(self) -> frozenset[str]:
        """Ids of all runs: shown, deleted and yet to come."""
        return frozenset(self._runs)

    def shows(self, run: Run) -> bool:
        """Whether the API shows the run now: submitted, and not deleted."""
        return run.id not in self.deleted and run.submit_s <= self.clock.now().timestamp()

    def iter_runs(self, key: int, before_s: float = float("inf")) -> Iterator[Run]:
        """Shown runs of a workspace, newest submission first.

        Args:
            key: Key of the workspace.
            before_s: Latest submission, epoch seconds, inclusive.
        """
        places = self._places.get(key, [])
        latest_s = min(before_s, self.clock.now().timestamp())
        end = bisect.bisect_right(places, latest_s, key=lambda place: place[0])
        for _, _, run in reversed(places[:end]):
            if run.id not in self.deleted:
                yield run

    def labels_of(self, run: Run) -> list[Row]:
        """The labels of a run as they are now; deleted labels are gone."""
        labels = self.labels.get(run.workspace_id, {})
        return [labels[label_id] for label_id in run.label_ids if label_id in labels]

    def find_launched(self, key: int, launch_id: str) -> Run | None:
        """A run of a workspace that came from that launch, None if there is none."""
        found = self._launched.get(launch_id, ())
        return next((run for run in found if run.workspace_id == key and self.shows(run)), None)

    def list_compute_envs(self, key: int) -> list[Row]:
        """The compute environments of a workspace."""
        return self.entities.get("computeEnvs", {}).get(key, [])

    def find_compute_env(self, run: Run) -> Row | None:
        """The compute environment of a run: the one of its workspace that has its platform."""
        found = self.list_compute_envs(run.workspace_id)
        return next((env for env in found if env.get("platform") == run.platform_id), None)

    # --- the truth, for tests -------------------------------------------------------------

    def runs(self, workspace_id: int | None = None) -> list[Row]:
        """Shown workflows of a workspace as the description gives them, newest first."""
        with self.lock:
            return [
                run.workflow(self.now_s()) for run in self.iter_runs(self.find_key(workspace_id))
            ]

    def describe(self, run_id: str) -> Row:
        """What `/workflow/{id}` says of the run, every attribute included."""
        with self.lock:
            run, now_s = self.find_run(run_id), self.now_s()
            return {
                "workflow": run.workflow(now_s),
                "progress": run.progress(now_s),
                **self.describe_place(run),
                **dict.fromkeys(("messages", "optimized", "pipelineInfo")),
                **run.extras(now_s),
                "labels": self.labels_of(run),
            }

    def element(self, run: Run) -> Row:
        """What the listing says of the run, every attribute included."""
        return {
            "workflow": run.summary(self.now_s()),
            "progress": None,
            **self.describe_place(run),
            "labels": self.labels_of(run),
            "starred": run.id in self.starred,
            "optimized": None,
            "pipelineInfo": None,
        }

    def describe_place(self, run: Run) -> Row:
        """Organisation and workspace of the run, null for a personal workspace."""
        place = self.workspaces[run.workspace_id]
        org = self.organizations[place.org_id] if place.org_id is not None else None
        return {
            "orgId": place.org_id,
            "orgName": org["name"] if org else None,
            "workspaceId": place.id,
            "workspaceName": place.name if org else None,
        }

    def tasks(self, run_id: str) -> list[Row]:
        """Tasks of the run as the task list gives them, by `taskId`."""
        with self.lock:
            return list(self.find_run(run_id).tasks(self.now_s()))

    def metrics(self, run_id: str) -> list[Row]:
        """Metrics of the run."""
        with self.lock:
            return self.find_run(run_id).metrics(self.now_s())

    def progress(self, run_id: str) -> Row:
        """Progress of the run."""
        with self.lock:
            return self.find_run(run_id).progress(self.now_s())

    # --- events on manual runs ------------------------------------------------------------

    def submit_run(self, workspace_id: int | None = None, **fields: object) -> str:
        """A new manual run, SUBMITTED. Answers its id.

        Args:
            workspace_id: Where; the owner's personal workspace when left out.
            **fields: Workflow fields in the API's names, over the defaults.
        """
        with self.lock:
            number = len(self._runs) + 1
            run_id = str(fields.get("id") or manual.make_run_id(number))
            owner = self.owner()
            fields = {"ownerId": owner.id, "userName": owner.name, **fields}
            workflow = manual.make_workflow(run_id, number, self.now_s(), fields)
            self.add_run(ManualRun(run_id, self.find_key(workspace_id), number, workflow))
        return run_id

    def update_run(self, run_id: str, *, touch: bool = True, **fields: object) -> None:
        """Change workflow fields of a manual run; without `touch`, `lastUpdated` stays."""
        with self.lock:
            touched = {"lastUpdated": to_text(self.now_s())} if touch else {}
            self._manual(run_id).fields.update(touched | fields)

    def start_run(self, run_id: str, **fields: object) -> None:
        """SUBMITTED to RUNNING: the run gains its start, parameters and manifest."""
        self.update_run(run_id, **(manual.list_start_fields(self.now_s()) | fields))

    def lose_heartbeat(self, run_id: str) -> None:
        """RUNNING to UNKNOWN."""
        self.update_run(run_id, status="UNKNOWN")

    def find_heartbeat(self, run_id: str) -> None:
        """UNKNOWN back to RUNNING."""
        self.update_run(run_id, status="RUNNING")

    def finish_run(self, run_id: str, status: str = "SUCCEEDED", **fields: object) -> None:
        """End the run; its tasks stay as they are."""
        with self.lock:
            ended = manual.list_end_fields(self._manual(run_id), status, self.now_s())
            self.update_run(run_id, **(ended | fields))

    def fail_run(self, run_id: str, message: str = "Process `SAY_HELLO (1)` terminated") -> None:
        """End the run as FAILED with that error message."""
        self.finish_run(run_id, "FAILED", errorMessage=message, errorReport=f"{message}\n")

    def cancel_run(self, run_id: str) -> None:
        """End the run as CANCELLED."""
        self.finish_run(run_id, "CANCELLED")

    def add_task(self, run_id: str, task_id: int | None = None, **fields: object) -> int:
        """A new task, SUBMITTED unless `fields` say otherwise. Answers its `taskId`.

        Args:
            run_id: A manual run.
            task_id: Any free id; the one after the highest when left out.
            **fields: Task fields in the API's names, over the defaults.

        Raises:
            ValueError: The run has a task with that id.
        """
        with self.lock:
            run = self._manual(run_id)
            task_id = max(run.tasks_by_id, default=0) + 1 if task_id is None else task_id
            if task_id in run.tasks_by_id:
                msg = f"Run {run_id} has a task {task_id} already."
                raise ValueError(msg)
            run.tasks_by_id[task_id] = manual.make_task(run, task_id, self.now_s(), fields)
            self.update_run(run_id)
        return task_id

    def update_task(self, run_id: str, task_id: int, **fields: object) -> None:
        """Change fields of a task of a manual run."""
        with self.lock:
            touched = {"lastUpdated": to_text(self.now_s())}
            self._manual(run_id).tasks_by_id[task_id].update(touched | fields)
            self.update_run(run_id)

    def start_task(self, run_id: str, task_id: int) -> None:
        """SUBMITTED to RUNNING."""
        self.update_task(run_id, task_id, status="RUNNING", start=to_text(self.now_s()))

    def finish_task(
        self, run_id: str, task_id: int, status: str = "COMPLETED", **fields: object
    ) -> None:
        """End a task: it gains its times, its measures where it ended well, and its cost."""
        with self.lock:
            task = self._manual(run_id).tasks_by_id[task_id]
            ended = manual.list_task_end_fields(task, status, self.now_s())
            self.update_task(run_id, task_id, **(ended | fields))

    # --- events on any run ----------------------------------------------------------------

    def set_labels(self, run_id: str, label_ids: Iterable[int]) -> None:
        """Replace the labels of a run; `lastUpdated` stays."""
        with self.lock:
            self.find_run(run_id).label_ids = tuple(label_ids)

    def star(self, run_id: str, starred: bool = True) -> None:  # noqa: FBT001, FBT002 - as the API's call has it
        """Set or take away the star of a run; `lastUpdated` stays."""
        with self.lock:
            (self.starred.add if starred else self.starred.discard)(self.find_run(run_id).id)

    def delete_run(self, run_id: str) -> None:
        """Let the API no longer show the run."""
        with self.lock:
            self.deleted.add(self.find_run(run_id).id)

    def restore_run(self, run_id: str) -> None:
        """Take `delete_run` back."""
        with self.lock:
            self.deleted.discard(run_id)

    def _manual(self, run_id: str) -> ManualRun:
        run = self.find_run(run_id)
        if not isinstance(run, ManualRun):
            msg = f"Run {run_id} follows its own time; only manual runs take this event."
            raise TypeError(msg)
        return run
