"""A dlt destination that a user's pipeline keeps in sync with a simulated platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt

from tests.dlt_destinations.kinds import DATASET, KINDS, Place, tidy
from tests.semantics.expected import index
from tower_etl import run_in_packages, tower_source
from tower_etl.config.settings import HttpSettings
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.dlt_destinations.kinds import Kind
    from tests.semantics.expected import Rows

SCRIPT = Path(__file__).with_name("pipeline.py")
TABLES_WANTED = (
    *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
    *("workflow_labels", "labels", "sync_runs"),
)


@dataclass(frozen=True)
class DltHarness:
    """A destination, and a pipeline that loads one platform into it.

    Attributes:
        kind: Kind of the destination.
        place: Location of the destination.
        endpoint: Address of the platform.
    """

    kind: Kind
    place: Place
    endpoint: str

    def open_pipeline(self, name: str = "history") -> dlt.Pipeline:
        """Return the user's pipeline."""
        return dlt.pipeline(
            name,
            destination=self.kind.make(self.place),
            dataset_name=DATASET,
            pipelines_dir=str(self.place.folder / "pipelines"),
        )

    def run(
        self,
        *,
        name: str = "history",
        packages: int = 0,
        options: dict[str, Any] | None = None,
        **source: Any,
    ) -> None:
        """Run the pipeline once.

        Args:
            name: Name of the pipeline.
            packages: Rows after which a load package is full; 0 for a single load package.
            options: Further arguments of `pipeline.run`.
            source: Arguments of the source.
        """
        wanted = tower_source(
            endpoint=self.endpoint,
            access_token=DEMO_TOKEN,
            http_settings=HttpSettings(None),
            **({"tables": TABLES_WANTED} | source),
        )
        given = {**self.kind.options, **(options or {})}
        if packages:
            run_in_packages(self.open_pipeline(name), wanted, max_rows=packages, **given)
        else:
            self.open_pipeline(name).run(wanted, **given)

    def kill(
        self,
        point: str,
        tables: Iterable[str] = TABLES_WANTED,
        *,
        packages: int = 0,
        may_end: bool = False,
    ) -> None:
        """Run the pipeline in a process that kills itself at a point in dlt's code.

        Args:
            point: Function call at which the process kills itself, as `kill_at.arm` expects it.
            tables: Names of the selected tables.
            packages: Rows after which a load package is full; 0 for a single load package.
            may_end: Whether the run may end before the point because it has nothing to load.
        """
        place = {"folder": str(self.place.folder), "server": self.place.server}
        command = [sys.executable, str(SCRIPT), point, self.kind.key, self.endpoint]
        killed = subprocess.run(
            [*command, json.dumps(place), str(packages), *tables],
            cwd=SCRIPT.parents[2],
            env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[2])},
            capture_output=True,
            timeout=120,
            check=False,
        )
        ends = {-signal.SIGKILL, 0} if may_end else {-signal.SIGKILL}
        assert killed.returncode in ends, killed.stderr

    def read(self, table: str) -> Rows:
        """Return the rows of a table by key."""
        rows = [tidy(table, row) for row in self.kind.read(self.place, table)]
        keyed = index(table, rows)
        assert len(keyed) == len(rows), f"{table} has a key twice"
        return keyed


def open_harness(key: str, endpoint: str, folder: str, server: str) -> DltHarness:
    """Return a harness from the command-line arguments of pipeline.py."""
    return DltHarness(KINDS[key], Place(Path(folder), server), endpoint)
