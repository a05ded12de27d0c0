"""From what became of each workspace to the status and the exit code of the whole."""

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
from tower_etl.extract.result import SyncResult, WorkspaceResult

if TYPE_CHECKING:
    from tower_etl.errors import ApiError

OK = None
REFUSED, FORBIDDEN = AuthenticationError("no"), ForbiddenError("no")
DOWN, SILENT, BUSY = ServerError("no"), ApiConnectionError("no"), RateLimitError("no")


def make_outcome(
    *errors: ApiError | None, given_up: bool = True, stopped: bool = False
) -> SyncResult:
    """An outcome with one workspace for each of these, given up where there is an error."""
    spaces = {str(key): WorkspaceResult(key, f"acme/{key}") for key in range(len(errors))}
    sync_result = SyncResult(spaces, stopped=stopped)
    for key, error in enumerate(errors):
        if error is None:
            spaces[str(key)].done = not stopped
        else:
            sync_result.record_failure(str(key), "why", error).aborted = given_up
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
def test_status_and_exit_code(errors: tuple[ApiError | None, ...], status: str, code: int) -> None:
    """Some failed is 4; where all did, the cause says it, and 3 only where every one is that."""
    sync_result = make_outcome(*errors)
    assert (sync_result.status, sync_result.exit_code) == (status, code)


@pytest.mark.parametrize("errors", [(DOWN,), (REFUSED, REFUSED), (OK, FORBIDDEN)])
def test_workspaces_that_were_not_given_up_are_partial(errors: tuple[ApiError | None, ...]) -> None:
    """Some of their runs failed; others landed."""
    sync_result = make_outcome(*errors, given_up=False)
    assert (sync_result.status, sync_result.exit_code) == ("partial", 4)
    assert sync_result.failed == [s for s in sync_result.workspaces.values() if s.error]


def test_one_workspace_that_was_not_given_up_keeps_the_whole_from_failing() -> None:
    """Something of it landed."""
    sync_result = make_outcome(DOWN, REFUSED)
    sync_result.workspaces["1"].aborted = False
    assert (sync_result.status, sync_result.exit_code) == ("partial", 4)


@pytest.mark.parametrize(
    ("space", "status"),
    [
        (WorkspaceResult(1, "w", done=True), "ok"),
        (WorkspaceResult(1, "w"), "interrupted"),
        (WorkspaceResult(1, "w", done=True, error="why", failures=1), "partial"),
        (WorkspaceResult(1, "w", error="why", failures=1), "partial"),
        (WorkspaceResult(1, "w", error="why", failures=3, aborted=True), "failed"),
    ],
)
def test_the_status_of_a_workspace(space: WorkspaceResult, status: str) -> None:
    """As `--json` has it."""
    assert (space.status, space.as_json()["status"]) == (status, status)


@pytest.mark.parametrize(
    ("errors", "status", "code"),
    [((OK,), "partial", 4), ((), "partial", 4), ((DOWN,), "failed", 5)],
)
def test_slow_entities_that_could_not_be_read_are_partial(
    errors: tuple[ApiError | None, ...], status: str, code: int
) -> None:
    """No workspace failed by them."""
    sync_result = make_outcome(*errors)
    sync_result.reference_errors.append("labels could not be read")
    assert (sync_result.status, sync_result.exit_code) == (status, code)


def test_a_stopped_sync_is_partial_and_no_failure() -> None:
    """What was not finished is `interrupted`, with no error."""
    sync_result = make_outcome(OK, stopped=True)
    assert (sync_result.status, sync_result.exit_code) == ("partial", 0)
    space = sync_result.workspaces["0"].as_json()
    assert (space["status"], space["error"]) == ("interrupted", None)


def test_a_workspace_fails_for_its_first_reason() -> None:
    """What fails after it is a consequence."""
    sync_result = make_outcome(FORBIDDEN)
    assert sync_result.record_failure("0", "later", DOWN) is sync_result.workspaces["0"]
    assert (sync_result.workspaces["0"].error, sync_result.exit_code) == ("why", 4)
