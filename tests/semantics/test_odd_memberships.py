"""Lists of workspaces with malformed elements: a workspace that is left out is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.altered import serve_altered
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.quirky import sync
from tests.semantics.test_oddities import sync as sync_anyhow

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp

MEMBERSHIPS = r"/user/\d+/workspaces"
NAMES = ("orgId", "workspaceId")


def as_text(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the response with the ids of its elements as decimal text."""
    roles = answer["orgsAndWorkspaces"]
    texts = [
        role | {name: str(role[name]) for name in NAMES if role.get(name) is not None}
        for role in roles
    ]
    return {"orgsAndWorkspaces": texts}


def test_ids_as_decimal_text_identify_the_same_workspaces(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    platform, changes = serve_altered(swappable_app)
    expected, found = InMemoryDestination(), InMemoryDestination()
    sync(platform, expected)
    changes[MEMBERSHIPS] = as_text
    changes["/user-info"] = lambda answer: {
        "user": answer["user"] | {"id": str(answer["user"]["id"])}
    }
    session = sync(platform, found)
    assert session.sync_result.warnings == []
    for table in ("workflows", "tasks", "workspaces", "organizations", "members", "pipelines"):
        assert (table, set(found.tables[table])) == (table, set(expected.tables[table]))
    assert found.tables["workspaces"] == expected.tables["workspaces"]


@pytest.mark.parametrize("odd", [None, "text", 7, {"orgId": 1, "workspaceId": "x"}, {"orgId": 1.5}])
def test_a_membership_without_a_usable_id_is_reported(
    swappable_app: tuple[str, SwappableApp], odd: Any
) -> None:
    """The workspace that the list lacks fails, and is not marked as missing."""
    platform, changes = serve_altered(swappable_app)
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    lost: list[Any] = []

    def corrupt_last(answer: dict[str, Any]) -> dict[str, Any]:
        roles = answer["orgsAndWorkspaces"]
        lost.append(roles[-1])
        return {"orgsAndWorkspaces": [*roles[:-1], odd]}

    changes[MEMBERSHIPS] = corrupt_last
    session = sync_anyhow(platform, warehouse, reconcile=True)
    result = session.sync_result
    message = "GET /user/{user_id}/workspaces: 1 element(s) without a usable id were left out"
    assert any(message in warning for warning in result.warnings), result.warnings
    assert result.exit_code == 4  # the workspace was synced before
    (error,) = [space.error for space in result.workspaces.values() if space.error]
    assert "one of the 1 element(s) without a usable id" in error
    row = warehouse.tables["workspaces"][lost[0]["workspaceId"],]
    assert row["missing_since"] is None


def test_a_first_sync_reports_memberships_without_a_usable_id(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    platform, changes = serve_altered(swappable_app)
    changes[MEMBERSHIPS] = lambda answer: {
        "orgsAndWorkspaces": [*answer["orgsAndWorkspaces"][:-1], None, None]
    }
    session = sync(platform, InMemoryDestination())
    (warning,) = session.sync_result.warnings
    assert "2 element(s) without a usable id were left out" in warning
