"""Record a few read calls to a real platform, scrubbed, and report how its responses differ.

Run it with `make record-live`, with TOWER_ACCESS_TOKEN and TOWER_API_ENDPOINT set.
"""

from __future__ import annotations

import difflib
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.cassettes.drift import compare_shapes, read_shape
from tests.cassettes.scrubber import Scrubber
from tests.cassettes.vcr_format import CASSETTES, open_cassette
from tower_etl.api import PathScope
from tower_etl.api.endpoints import LABELS, ORGANIZATIONS, RUN_TASKS, RUNS
from tower_etl.config.credentials import resolve_token
from tower_etl.config.resolver import (
    SettingSources,
    resolve_endpoint,
    resolve_workspaces,
)
from tower_etl.config.settings import Settings, SyncOptions
from tower_etl.errors import ForbiddenError, NotFoundError, TowerEtlError
from tower_etl.extract.discovery import discover
from tower_etl.source import open_client

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tower_etl.api import TowerClient
    from tower_etl.extract.discovery import Workspace

LIVE = CASSETTES / "live"

_WORKSPACES = 3
_RUNS = 5
_TASKS = 10
_UNLIKE = ("live", "older_server", "faults")  # not comparable with a current server


@dataclass(frozen=True)
class CallSequence:
    """A fixed series of read calls, recorded or replayed, with one cassette for each step.

    Attributes:
        client: Client of the platform.
        folder: Folder of the cassettes.
        scrubber: Removes secrets and personal data from the recording.
        record: Whether the cassettes are recorded instead of replayed.
    """

    client: TowerClient
    folder: Path
    scrubber: Scrubber
    record: bool

    def go(self, selectors: tuple[str, ...]) -> list[str]:
        """Make the calls for the first few workspaces; return the ids of the fetched runs."""
        with self._open("discovery"):
            discovery = discover(self.client, selectors)
        with self._open("organizations"), suppress(ForbiddenError, NotFoundError):
            self.client.list_entity(ORGANIZATIONS, PathScope())
        return [
            run_id for space in discovery.workspaces[:_WORKSPACES] for run_id in self._fetch(space)
        ]

    def _fetch(self, space: Workspace) -> list[str]:
        """Request labels, the newest runs and one whole run; a refusal is recorded as well."""
        with self._open(f"labels-{space.key}"), suppress(ForbiddenError, NotFoundError):
            self.client.list_entity(LABELS, PathScope(space.id))
        chosen: list[str] = []
        with self._open(f"runs-{space.key}"), suppress(ForbiddenError, NotFoundError):
            chosen = self._choose_run(space)
        for run_id in chosen:
            with self._open(f"run-{space.key}"), suppress(ForbiddenError, NotFoundError):
                self._describe(space, run_id)
        return chosen

    def _open(self, name: str) -> AbstractContextManager[object]:
        return open_cassette(self.folder / f"{name}.json", self.scrubber, record=self.record)

    def _choose_run(self, space: Workspace) -> list[str]:
        """Return one of the newest runs, if any: preferably a succeeded one with most data."""
        params = _place(space) | {"attributes": "labels", "includeTotalSize": "true"}
        listed = self.client.http.get(RUNS.path, params | {"max": _RUNS, "offset": 0})
        runs = [element["workflow"] for element in listed["workflows"]]
        telling = [run for run in runs if run["status"] == "SUCCEEDED"]
        return [run["id"] for run in [*telling, *runs][:1]]

    def _describe(self, space: Workspace, run_id: str) -> None:
        self.client.get_run(space.id, run_id)
        path, params = RUN_TASKS.path.format(run_id=run_id), _place(space)
        self.client.http.get(path, params | {"max": _TASKS, "offset": 0})
        self.client.list_metrics(space.id, run_id)


def _place(space: Workspace) -> dict[str, str | int]:
    return {} if space.id is None else {"workspaceId": space.id}


def record_live(settings: Settings, folder: Path) -> str:
    """Record the tour again; return the changes since the last recording, and the drift.

    Raises:
        TowerEtlError: The server cannot be reached, or refuses the token.
    """
    address = urlsplit(settings.endpoint)
    scrubber = Scrubber(
        (settings.token.get_secret_value(),), (address.netloc, address.hostname or "")
    )
    client = open_client(settings)
    with closing(client.http), TemporaryDirectory() as fresh:
        CallSequence(client, Path(fresh), scrubber, record=True).go(settings.options.workspaces)
        after = _read_texts(Path(fresh))  # keeps the last recording if the tour fails
    before = _replace_texts(folder, after)
    return "\n".join([*_list_changes(before, after), *list_drift(folder, CASSETTES)]) + "\n"


def list_drift(folder: Path, simulated: Path) -> list[str]:
    """Return how the recorded responses differ in shape from those of the simulator."""
    paths = [path for path in sorted(simulated.rglob("*.json")) if path.parent.name not in _UNLIKE]
    live = read_shape(sorted(folder.glob("*.json")))
    differences = compare_shapes(live, read_shape(paths), ("the server", "the simulator"))
    return [f"Differences in shape: {len(differences)}", *differences]


def _read_texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.json"))}


def _replace_texts(folder: Path, texts: dict[str, str]) -> dict[str, str]:
    """Replace all cassettes of the folder; return the previous ones."""
    folder.mkdir(parents=True, exist_ok=True)
    before = _read_texts(folder)
    for name in before:
        (folder / name).unlink()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return before


def _list_changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return a diff of each changed file, and the names of new and removed files."""
    lines = [f"New: {name}" for name in sorted(after.keys() - before.keys())]
    lines += [f"Gone: {name}" for name in sorted(before.keys() - after.keys())]
    for name in sorted(after.keys() & before.keys()):
        texts = before[name].splitlines(), after[name].splitlines()
        lines += difflib.unified_diff(*texts, f"before/{name}", f"now/{name}", lineterm="")
    return lines


def main() -> int:
    """Record with the settings of the environment; return the exit code."""
    try:
        sources = SettingSources()
        request = SyncOptions(workspaces=resolve_workspaces((), sources))
        settings = Settings(
            resolve_endpoint(None, sources), resolve_token(sources), options=request
        )
        sys.stdout.write(record_live(settings, LIVE))
    except TowerEtlError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
