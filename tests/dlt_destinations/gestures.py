"""Random user operations on a dlt pipeline of the source while the platform changes.

`python -m tests.dlt_destinations.gestures COUNT [SEED]` runs COUNT sequences, beyond those of the
test suite.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt.pipeline.helpers import pipeline_drop

from tests.destinations.test_semantics import add_run
from tests.dlt_destinations.harness import DltHarness
from tests.dlt_destinations.kinds import KINDS, Place
from tests.semantics.expected import expect_labels, expect_run, list_visible_runs
from tower_etl import run_in_packages, tower_source
from tower_etl.config.settings import HttpSettings
from tower_etl.schema import ON_DEMAND, TABLES
from tower_etl.simulator import (
    DEMO_TOKEN,
    SimClock,
    Simulator,
    World,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dlt.extract import DltSource

    from tests.semantics.expected import Rows

_RUN_TABLES = (
    *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
    "workflow_labels",
)
_POINTS = (
    "before:dlt.normalize.normalize:Normalize.run:1",
    "before:dlt.load.load:Load.run:1",
    "before:dlt.load.load:Load.complete_package:1",
)
_ALL = tuple(TABLES.keys() - ON_DEMAND)
_REFRESHES = ("drop_sources", "drop_resources", "drop_data")


class Gestures:
    """Random operations on one pipeline and one platform.

    Attributes:
        world: State of the platform.
        harness: The destination and its pipeline.
        done: Log of the operations so far, for the message of a failure.
    """

    def __init__(self, folder: Path, endpoint: str, world: World, seed: int) -> None:
        self.world = world
        self.harness = DltHarness(KINDS["duckdb"], Place(folder), endpoint)
        self.done: list[str] = [f"seed {seed}"]
        self._random = random.Random(seed)
        organization = world.add_organization("acme")
        self._spaces = [world.add_workspace(organization, name) for name in ("lab", "clinic")]
        world.add_entity("members", organization, memberId=1, userName="ada", role="owner")
        self._gone: set[str] = set()
        self._needs_reconciliation = False

    def perform(self, count: int) -> None:
        """Perform the given number of random operations."""
        for _ in range(count):
            self._random.choice((self.change_world, self._run_somehow, self._lose_something))()

    def expect_equality_after_a_plain_run(self) -> None:
        """Run once with all tables selected, and check that the tables equal the platform.

        Changes that an incremental listing does not show, such as deleted runs, need a
        reconciliation.
        """
        if self.harness.open_pipeline().has_pending_data:
            self.harness.open_pipeline().run()  # dlt loads the pending load package only
        self.run(reconcile=self._needs_reconciliation)
        shown = list_visible_runs(self.world)
        expected: dict[str, Rows] = {table: {} for table in _RUN_TABLES}
        for run_id, space in shown.items():
            for table, rows in expect_run(self.world, run_id, space).items():
                expected[table] |= rows
        for table in _RUN_TABLES:
            found = self.harness.read(table)
            column = "id" if table == "workflows" else "workflow_id"
            gone = {key: row for key, row in found.items() if row[column] in self._gone}
            there = {key: row for key, row in found.items() if key not in gone}
            assert there == expected[table], (table, self.done)
            if table == "workflows":
                assert all(row["missing_since"] for row in gone.values()), self.done
        assert self.harness.read("labels") == expect_labels(self.world), self.done
        named = {run["userName"] for run in self.world.runs(self._spaces[0])}
        users = {row["user_name"] for row in self.harness.read("users").values()}
        assert named <= users, self.done
        spaces = {row["id"] for row in self.harness.read("workspaces").values()}
        assert set(self._spaces) <= spaces, self.done
        self._expect_one_version_each()

    def _expect_one_version_each(self) -> None:
        """Check that each unchanged item of the organization has exactly one version."""
        for name in ("members", "workspaces"):
            column = TABLES[name].key[0]
            found = [row[column] for row in self.harness.read(f"{name}_history").values()]
            current = [row[column] for row in self.harness.read(name).values()]
            assert sorted(found) == sorted(current), (name, self.done)

    def change_world(self) -> None:
        """Change a random open run, or add runs."""
        open_runs = [run for run in self._list_runs() if run["status"] == "RUNNING"]
        change = self._random.choice(("add", "finish", "task", "relabel", "delete", "star"))
        self.done.append(change)
        if change == "add" or not open_runs:
            for _ in range(self._random.randint(1, 3)):
                add_run(self.world, self._random.choice(self._spaces))
                self.world.clock.advance(1)
            return
        run_id = self._random.choice(open_runs)["id"]
        if change == "finish":
            self.world.finish_run(run_id)
        elif change == "task":
            self.world.add_task(run_id)
        elif change == "relabel":
            self.world.set_labels(run_id, [])
        elif change == "delete":
            self.world.delete_run(run_id)
            self._gone.add(run_id)
            self._needs_reconciliation = True
        else:
            self.world.star(run_id)
            self._needs_reconciliation = True

    def run(
        self,
        change: Callable[[DltSource], DltSource] = lambda source: source,
        *,
        packages: bool = False,
        options: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        """Run the pipeline with a modified source."""
        source = change(self.make_source(**arguments))
        pipeline, given = self.harness.open_pipeline(), dict(options or {})
        if packages:
            run_in_packages(pipeline, source, max_rows=self._random.choice((1, 20)), **given)
        else:
            pipeline.run(source, **given)

    def make_source(self, **arguments: Any) -> DltSource:
        """Return the source as a user would create it."""
        source: DltSource = tower_source(
            endpoint=self.harness.endpoint,
            access_token=DEMO_TOKEN,
            http_settings=HttpSettings(None),
            **arguments,
        )
        return source

    def _run_somehow(self) -> None:
        how = self._random.choice(
            (
                *(
                    "plain",
                    "reconcile",
                    "select",
                    "refresh",
                    "replace",
                    "limit",
                    "packages",
                    "rows",
                ),
                *("kill", "workspace", "pair", "extract twice"),
            )
        )
        chosen = self._pick_tables()
        self.done.append(f"{how} {' '.join(chosen) if how not in {'plain', 'reconcile'} else ''}")

        def select(source: DltSource) -> DltSource:
            return source.with_resources(*chosen)

        if how in {"plain", "reconcile"}:
            self.run(reconcile=how == "reconcile")
        elif how in {"refresh", "replace"}:
            options = {"write_disposition": "replace"}
            if how == "refresh":
                options = {"refresh": self._random.choice(_REFRESHES)}
            self.done.append(str(options))
            self.run(select, options=options, packages=self._flip())
        elif how == "limit":
            self.run(lambda source: select(source).add_limit(self._random.randint(0, 2)))
        elif how == "rows":
            self.run(select, yield_rows=True)
        elif how == "workspace":
            self.run(select, workspaces=[self._random.choice(self._spaces)])
        elif how == "kill":
            self.harness.kill(self._random.choice(_POINTS), tables=chosen, may_end=True)
        elif how in {"pair", "extract twice"}:
            self._extract_together(select, in_one_run=how == "pair")
        else:
            self.run(select, packages=how == "packages", reconcile=self._flip())

    def _extract_together(
        self, select: Callable[[DltSource], DltSource], *, in_one_run: bool
    ) -> None:
        """Extract twice before a load: from two sources in one run, or in separate steps."""
        pipeline = self.harness.open_pipeline()
        if in_one_run:
            pipeline.run([select(self.make_source(workspaces=[space])) for space in self._spaces])
            return
        pipeline.extract(select(self.make_source()))
        self.change_world()
        pipeline.extract(self.make_source(reconcile=self._flip()))
        pipeline.normalize()
        pipeline.load()

    def _extract_apart(self) -> None:
        pipeline = self.harness.open_pipeline()
        pipeline.extract(self.make_source(tables=self._pick_tables()))
        pipeline.normalize()
        pipeline.load()

    def _lose_something(self) -> None:
        """Drop tables with a dlt command, in the database, or with the whole file or folder."""
        pipeline = self.harness.open_pipeline()
        known = pipeline.schemas.get("tower")
        stored = [name for name in (known.tables if known else ()) if name in TABLES]
        if not stored:
            return
        chosen = self._random.sample(stored, min(len(stored), self._random.randint(1, 4)))
        how = self._random.choice(
            ("drop", "drop all", "drop state", "DROP TABLE", "lose", "lose folder")
        )
        self.done.append(f"{how} {' '.join(chosen)}")
        if how == "lose folder":
            shutil.rmtree(self.harness.place.folder / "pipelines")
            if self._flip():  # dlt does not restore the state for separate steps
                self._extract_apart()
            return
        if how == "lose":
            if pipeline.has_pending_data:
                pipeline.run()
            (self.harness.place.folder / "history.duckdb").unlink(missing_ok=True)
            self._extract_apart()
            return
        if how == "DROP TABLE":
            with pipeline.sql_client() as client:
                for name in chosen:
                    client.execute_sql(
                        f"DROP TABLE IF EXISTS {client.make_qualified_table_name(name)}"
                    )
            return
        if pipeline.has_pending_data:
            pipeline.run()  # dlt refuses to drop while a load package is pending
        if pipeline.first_run:
            return  # dlt raises an error if nothing was loaded yet
        pipeline_drop(
            pipeline,
            resources=() if how == "drop all" else chosen,
            drop_all=how == "drop all",
            state_only=how == "drop state",
        )

    def _pick_tables(self) -> list[str]:
        if self._random.random() < 0.3:
            return sorted(_ALL)
        names: Sequence[str] = sorted(_ALL) if self._flip() else _RUN_TABLES
        return self._random.sample(names, self._random.randint(1, 4))

    def _list_runs(self) -> list[dict[str, Any]]:
        return [run for space in self._spaces for run in self.world.runs(space)]

    def _flip(self) -> bool:
        return self._random.random() < 0.5


def try_sequence(folder: Path, seed: int, steps: int) -> None:
    """Run one sequence on a new platform and check the tables.

    Every third pipeline stores no state in the destination, and restores none.
    """
    os.environ["RESTORE_FROM_DESTINATION"] = str(seed % 3 != 0).lower()
    world = World(SimClock())
    with serve(Simulator(world, limit=None)) as endpoint:
        gestures = Gestures(folder, endpoint, world, seed)
        gestures.change_world()
        gestures.perform(steps)
        try:
            gestures.expect_equality_after_a_plain_run()
        except Exception as error:
            error.add_note(" / ".join(gestures.done))
            raise


def main(count: int, first: int = 0) -> None:
    """Run many sequences, up to the first that fails."""
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DLT_DATA_DIR"] = folder
            try_sequence(Path(folder), seed, 6)
        print(f"{seed - first + 1} of {count} sequences end with equal tables", flush=True)  # noqa: T201


if __name__ == "__main__":
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    logging.disable(logging.WARNING)
    main(*(int(argument) for argument in sys.argv[1:]))
