"""What a sync did, as it goes: for progress, for `--json` and for the table `sync_runs`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.errors import TokenRefusedError

if TYPE_CHECKING:
    from tower_etl.errors import ApiError


@dataclass
class WorkspaceOutcome:
    """One workspace of a sync.

    Attributes:
        id: None for the personal workspace.
        name: `ORG/NAME`, or `personal`.
        planned: Runs to fetch, None before it was listed.
        listed: Runs that the listing showed.
        fetched: Runs that landed.
        missing: Runs newly found to be missing.
        done: Whether all that was planned landed.
        error: Why it failed, None if it did not.
        error_exit_code: What that error would end the program with.
    """

    id: int | None
    name: str
    planned: int | None = None
    listed: int = 0
    fetched: int = 0
    missing: int = 0
    done: bool = False
    error: str | None = None
    error_exit_code: int = 0

    @property
    def status(self) -> str:
        """`ok`, `failed`, or `interrupted` when it was not finished and nothing went wrong."""
        if self.error is not None:
            return "failed"
        return "ok" if self.done else "interrupted"

    def as_json(self) -> dict[str, Any]:
        """The element of `workspaces` in `--json` and in `sync_runs`."""
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "error": self.error,
            "runs_listed": self.listed,
            "runs_fetched": self.fetched,
            "runs_missing": self.missing,
        }


@dataclass
class Outcome:
    """One sync.

    Attributes:
        workspaces: By key, in the order in which they are synced.
        tasks: Tasks that landed.
        reconciled: Whether any workspace was listed completely.
        warnings: What the user should know, though nothing failed.
        stopped: Whether it was asked to stop before the end.
    """

    workspaces: dict[str, WorkspaceOutcome] = field(default_factory=dict)
    tasks: int = 0
    reconciled: bool = False
    warnings: list[str] = field(default_factory=list)
    stopped: bool = False

    @property
    def listed(self) -> int:
        """Runs that the listings showed."""
        return sum(space.listed for space in self.workspaces.values())

    @property
    def fetched(self) -> int:
        """Runs that landed."""
        return sum(space.fetched for space in self.workspaces.values())

    @property
    def planned(self) -> int:
        """Runs to fetch, as far as listed."""
        return sum(space.planned or 0 for space in self.workspaces.values())

    @property
    def failed(self) -> list[WorkspaceOutcome]:
        """The workspaces that failed."""
        return [space for space in self.workspaces.values() if space.error is not None]

    @property
    def status(self) -> str:
        """`ok`, `partial` when some workspaces failed or it was stopped, `failed` when all did."""
        if self.failed and len(self.failed) == len(self.workspaces):
            return "failed"
        return "partial" if self.failed or self.stopped else "ok"

    @property
    def exit_code(self) -> int:
        """By the contract: 0, 4 when some failed, and what the cause says when all did."""
        if self.status != "failed":
            return 4 if self.failed else 0
        codes = {space.error_exit_code for space in self.failed}
        refused = TokenRefusedError.exit_code
        return refused if codes == {refused} else max(codes - {refused}, default=4)

    def fail(self, key: str, message: str, error: ApiError) -> None:
        """Note that a workspace failed, for the first reason that it had."""
        space = self.workspaces[key]
        if space.error is None:
            space.error, space.error_exit_code = message, error.exit_code
