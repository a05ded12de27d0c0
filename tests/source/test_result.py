"""Status and exit code of a sync, from the results of its workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.errors import (
    ApiConnectionError,
    AuthenticationError,
    ForbiddenError,
    RateLimitError,
    ServerError,
)
from tower_etl.extract.discovery import Workspace
from tower_etl.extract.result import SyncResult, WorkspaceResult

if TYPE_CHECKING:
    from tower_etl.errors import ApiError

OK = None
REFUSED, FORBIDDEN = AuthenticationError("no"), ForbiddenError("no")
DOWN, SILENT, BUSY = ServerError("no"), ApiConnectionError("no"), RateLimitError("no")


def make_outcome(
    *errors: ApiError | None, given_up: bool = True, stopped: bool = False
) -> SyncResult:
    """Return a result with one workspace per argument; an error aborts it by default."""
    spaces = {str(key): WorkspaceResult(key, f"acme/{key}") for key in range(len(errors))}
    sync_result = SyncResult(spaces, stopped=stopped)
    for key, error in enumerate(errors):
        if error is None:
            spaces[str(key)].done = not stopped
        else:
            sync_result.record_failure(Workspace(key, f"acme/{key}", {}), error)
            spaces[str(key)].aborted = given_up
    return sync_result


@pytest.mark.parametrize(
    ("errors", "status", "code"),
    [
        ((), "ok", 0),
        ((OK, OK), "ok", 0),
        ((OK, FORBIDDEN), "partial", 4),
        ((OK, DOWN), "partial", 4),
        ((OK, REFUSED), "partial", 4),
        ((FORBIDDEN, FORBIDDEN), "failed", 4),
        ((DOWN,), "failed", 5),
        ((SILENT, BUSY), "failed", 5),
        ((FORBIDDEN, DOWN), "failed", 5),
        ((REFUSED, REFUSED), "failed", 3),
        ((REFUSED, DOWN), "failed", 5),
        ((REFUSED, FORBIDDEN), "failed", 4),
    ],
)
def test_status_and_exit_code_depend_on_the_errors_of_all_workspaces(
    errors: tuple[ApiError | None, ...], status: str, code: int
) -> None:
    """If some workspaces failed, the exit code is 4.

    If all failed, the causes decide; 3 means that the token was refused for every workspace.
    """
    sync_result = make_outcome(*errors)
    assert (sync_result.status, sync_result.exit_code) == (status, code)


@pytest.mark.parametrize("errors", [(DOWN,), (REFUSED, REFUSED), (OK, FORBIDDEN)])
def test_workspaces_with_errors_that_were_not_aborted_are_partial(
    errors: tuple[ApiError | None, ...],
) -> None:
    """Some of their runs failed, and others were loaded."""
    sync_result = make_outcome(*errors, given_up=False)
    assert (sync_result.status, sync_result.exit_code) == ("partial", 4)
    assert sync_result.unsuccessful == [s for s in sync_result.workspaces.values() if s.error]


def test_a_sync_is_partial_if_one_failing_workspace_was_not_aborted() -> None:
    """Some runs of this workspace were loaded."""
    sync_result = make_outcome(DOWN, REFUSED)
    sync_result.workspaces["1"].aborted = False
    assert (sync_result.status, sync_result.exit_code) == ("partial", 4)


@pytest.mark.parametrize(
    ("space", "status"),
    [
        (WorkspaceResult(1, "w", done=True), "ok"),
        (WorkspaceResult(1, "w"), "interrupted"),
        (WorkspaceResult(1, "w", done=True, error="why"), "partial"),
        (WorkspaceResult(1, "w", error="why"), "partial"),
        (WorkspaceResult(1, "w", error="why", aborted=True), "failed"),
    ],
)
def test_the_status_of_a_workspace_depends_on_its_result(
    space: WorkspaceResult, status: str
) -> None:
    """The output of `--json` has the same status."""
    assert (space.status, space.as_json()["status"]) == (status, status)


@pytest.mark.parametrize(
    ("errors", "status", "code"),
    [((OK,), "partial", 4), ((), "partial", 4), ((DOWN,), "failed", 5)],
)
def test_errors_of_reference_data_make_a_successful_sync_partial(
    errors: tuple[ApiError | None, ...], status: str, code: int
) -> None:
    """They do not make a workspace fail."""
    sync_result = make_outcome(*errors)
    sync_result.reference_errors.append("labels could not be read")
    assert (sync_result.status, sync_result.exit_code) == (status, code)


def test_a_stopped_sync_is_partial_with_exit_code_0() -> None:
    """Workspaces that were not finished are `interrupted`, without an error."""
    sync_result = make_outcome(OK, stopped=True)
    assert (sync_result.status, sync_result.exit_code) == ("partial", 0)
    space = sync_result.workspaces["0"].as_json()
    assert (space["status"], space["error"]) == ("interrupted", None)


def test_a_workspace_keeps_its_first_error() -> None:
    """Later errors are consequences of the first one."""
    sync_result = make_outcome(FORBIDDEN)
    assert sync_result.record_failure(Workspace(0, "acme/0", {}), DOWN) == "acme/0: no"
    message = "acme/0: the token may not read it (no)"
    assert (sync_result.workspaces["0"].error, sync_result.exit_code) == (message, 4)
