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


def make_outcome(*errors: ApiError | None, stopped: bool = False) -> Outcome:
    """An outcome with one workspace for each of these."""
    spaces = {str(key): WorkspaceOutcome(key, f"acme/{key}") for key in range(len(errors))}
    outcome = Outcome(spaces, stopped=stopped)
    for key, error in enumerate(errors):
        if error is None:
            spaces[str(key)].done = not stopped
        else:
            outcome.fail(str(key), "why", error)
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


def test_a_stopped_sync_is_partial_and_no_failure() -> None:
    """What was not finished is `interrupted`, with no error."""
    outcome = make_outcome(OK, stopped=True)
    assert (outcome.status, outcome.exit_code) == ("partial", 0)
    space = outcome.workspaces["0"].as_json()
    assert (space["status"], space["error"]) == ("interrupted", None)


def test_a_workspace_fails_for_its_first_reason() -> None:
    """What fails after it is a consequence."""
    outcome = make_outcome(FORBIDDEN)
    outcome.fail("0", "later", DOWN)
    assert (outcome.workspaces["0"].error, outcome.exit_code) == ("why", 4)
