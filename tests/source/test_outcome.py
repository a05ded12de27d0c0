"""From what became of each workspace to the status and the exit code of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.errors import (
    ForbiddenError,
    RateLimitError,
    ServerFaultError,
    TokenRefusedError,
    UnreachableError,
)
from tower_etl.source import Outcome, WorkspaceOutcome

if TYPE_CHECKING:
    from tower_etl.errors import ApiError

OK = None
REFUSED, FORBIDDEN = TokenRefusedError("no"), ForbiddenError("no")
DOWN, SILENT, BUSY = ServerFaultError("no"), UnreachableError("no"), RateLimitError("no")


def make_outcome(*errors: ApiError | None, given_up: bool = True, stopped: bool = False) -> Outcome:
    """An outcome with one workspace for each of these, given up where there is an error."""
    spaces = {str(key): WorkspaceOutcome(key, f"acme/{key}") for key in range(len(errors))}
    outcome = Outcome(spaces, stopped=stopped)
    for key, error in enumerate(errors):
        if error is None:
            spaces[str(key)].done = not stopped
        else:
            outcome.fail(str(key), "why", error).given_up = given_up
    return outcome


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
    outcome = make_outcome(*errors)
    assert (outcome.status, outcome.exit_code) == (status, code)


@pytest.mark.parametrize("errors", [(DOWN,), (REFUSED, REFUSED), (OK, FORBIDDEN)])
def test_workspaces_that_were_not_given_up_are_partial(errors: tuple[ApiError | None, ...]) -> None:
    """Some of their runs failed; others landed."""
    outcome = make_outcome(*errors, given_up=False)
    assert (outcome.status, outcome.exit_code) == ("partial", 4)
    assert outcome.failed == [s for s in outcome.workspaces.values() if s.error]


def test_one_workspace_that_was_not_given_up_keeps_the_whole_from_failing() -> None:
    """Something of it landed."""
    outcome = make_outcome(DOWN, REFUSED)
    outcome.workspaces["1"].given_up = False
    assert (outcome.status, outcome.exit_code) == ("partial", 4)


@pytest.mark.parametrize(
    ("space", "status"),
    [
        (WorkspaceOutcome(1, "w", done=True), "ok"),
        (WorkspaceOutcome(1, "w"), "interrupted"),
        (WorkspaceOutcome(1, "w", done=True, error="why", failures=1), "partial"),
        (WorkspaceOutcome(1, "w", error="why", failures=1), "partial"),
        (WorkspaceOutcome(1, "w", error="why", failures=3, given_up=True), "failed"),
    ],
)
def test_the_status_of_a_workspace(space: WorkspaceOutcome, status: str) -> None:
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
    outcome = make_outcome(*errors)
    outcome.faults.append("labels could not be read")
    assert (outcome.status, outcome.exit_code) == (status, code)


def test_a_stopped_sync_is_partial_and_no_failure() -> None:
    """What was not finished is `interrupted`, with no error."""
    outcome = make_outcome(OK, stopped=True)
    assert (outcome.status, outcome.exit_code) == ("partial", 0)
    space = outcome.workspaces["0"].as_json()
    assert (space["status"], space["error"]) == ("interrupted", None)


def test_a_workspace_fails_for_its_first_reason() -> None:
    """What fails after it is a consequence."""
    outcome = make_outcome(FORBIDDEN)
    assert outcome.fail("0", "later", DOWN) is outcome.workspaces["0"]
    assert (outcome.workspaces["0"].error, outcome.exit_code) == ("why", 4)
