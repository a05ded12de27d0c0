"""Messages about malformed responses, and about a server that does not send its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.altered import serve_altered
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.quirky import sync
from tests.semantics.test_oddities import sync as sync_anyhow
from tower_etl.errors import ApiError
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp

DEEP = b'{"credentials":' + b"[" * 3000 + b"]" * 3000 + b"}"


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ([1, 2], "are no JSON object but a list"),
        (DEEP, "are no JSON object (nested too deeply)"),
        (b"<html>", "A proxy or login page may stand in between"),
    ],
)
def test_a_malformed_list_is_not_reported_as_a_denial(
    swappable_app: tuple[str, SwappableApp], odd: Any, said: str
) -> None:
    """The message describes the response, and does not blame the token."""
    platform, changes = serve_altered(swappable_app)
    changes["/credentials"] = lambda _: odd
    warehouse = InMemoryDestination()
    (warning,) = sync(platform, warehouse).sync_result.warnings
    assert warning.startswith("The server's answer for credentials of personal, ")
    assert "cannot be used" in warning
    assert said in warning
    assert "token" not in warning
    assert sync(platform, warehouse).sync_result.warnings == []


@pytest.mark.slow
@pytest.mark.parametrize("odd", [{"serviceInfo": None}, {}, {"serviceInfo": "26.1"}, []])
def test_a_server_that_does_not_send_its_version_is_synced(
    swappable_app: tuple[str, SwappableApp], odd: object
) -> None:
    platform, changes = serve_altered(swappable_app)
    expected, warehouse = InMemoryDestination(), InMemoryDestination()
    sync(platform, expected)
    changes["/service-info"] = lambda _: odd
    (warning,) = sync(platform, warehouse).sync_result.warnings
    assert warning.startswith("GET /service-info: ")
    assert "The version of the server is unknown" in warning
    assert set(warehouse.tables["tasks"]) == set(expected.tables["tasks"])
    (row,) = warehouse.tables["sync_runs"].values()
    assert (row["server_version"], row["status"]) == (None, "ok")


def test_a_404_for_the_user_is_an_error_if_the_version_is_unknown(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    platform, changes = serve_altered(swappable_app)
    changes["/service-info"] = lambda _: {"serviceInfo": None}
    platform.simulator.faults.add("/user-info", Fault("status", status=404, times=1_000))
    with pytest.raises(ApiError, match="not to /user-info"):
        platform.open_session()


def test_a_response_for_another_run_is_an_error_that_names_the_run(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    platform, changes = serve_altered(swappable_app)
    changes[r"/workflow/[^/]+"] = lambda answer: answer | {"workflow": {"id": "other"}}
    result = sync_anyhow(platform, InMemoryDestination()).sync_result
    errors = {
        run_id: run.error
        for space in result.workspaces.values()
        for run_id, run in space.pending.items()
    }
    assert errors
    for run_id, error in errors.items():
        assert f"GET /workflow/{run_id}: the answer does not describe this run" in error
        assert "''" not in error
