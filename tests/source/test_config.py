"""dlt's configuration as a place where settings may come from."""

from __future__ import annotations

import dlt
import pytest

from tower_etl.errors import UsageError
from tower_etl.source import find_dlt_value, pick_tables
from tower_etl.tables import TABLES


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own."""
    monkeypatch.delenv("ACCESS_TOKEN", raising=False)


def test_a_value_of_our_section_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By dlt's own name for it."""
    monkeypatch.setenv("SOURCES__TOWER_ETL__TOWER__ACCESS_TOKEN", "from-dlt")
    assert find_dlt_value("access_token") == "from-dlt"


def test_the_short_section_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """`[sources.tower]`, where the module is left out."""
    monkeypatch.setenv("SOURCES__TOWER__ENDPOINT", "https://host/api")
    assert find_dlt_value("endpoint") == "https://host/api"


def test_what_is_not_set_is_none() -> None:
    """And no error."""
    assert find_dlt_value("access_token") is None


@pytest.mark.parametrize("value", [42, "42"])
def test_a_number_comes_as_text(value: object) -> None:
    """A workspace id stands without quotes in a file, and is compared as text."""
    with dlt.config.values({"sources.tower_etl.tower.workspace_id": value}):
        assert find_dlt_value("workspace_id") == "42"


def test_tables_that_a_sync_cannot_do_without_come_with_those_asked_for() -> None:
    """Planning reads runs and their labels out of the target."""
    assert pick_tables(()) == frozenset(TABLES) - {"launch_datasets", "audit_logs"}
    assert pick_tables(["tasks"]) == {
        "tasks",
        "workflows",
        "workflow_labels",
        "labels",
        "sync_runs",
    }


def test_tables_may_be_named_by_patterns() -> None:
    """What costs calls at every sync comes only so, or by its name."""
    assert pick_tables(["*"]) == frozenset(TABLES)
    assert {"teams", "team_members"} < pick_tables(["team*"])
    assert "audit_logs" in pick_tables(["audit_log?"])
    with pytest.raises(UsageError, match=r"No table Taks\. Did you mean tasks\? There are: work"):
        pick_tables(["labels", "Taks"])
    with pytest.raises(UsageError, match=r"No table runs\*\. There are: workflows"):
        pick_tables(["tasks", "runs*"])


def test_a_table_is_left_out_by_an_exclamation_mark() -> None:
    """Of all tables, or of those that are named; a sync's own tables stay."""
    assert pick_tables(["!launches"]) == pick_tables(()) - {"launches"}
    assert pick_tables(["team*", "!team_members", "!*_history"]) == pick_tables(["teams"])
    assert pick_tables(["*", "!*_history"]) >= {"audit_logs", "launch_datasets", "teams"}
    with pytest.raises(UsageError, match=r"Cannot leave out workflows: a sync needs these tables"):
        pick_tables(["!workflows"])
    with pytest.raises(UsageError, match=r"No table !lanches\. Did you mean launches"):
        pick_tables(["!lanches"])


def test_datasets_of_launches_come_with_launches() -> None:
    """A launch remembers whether its datasets were listed; without launches there are none."""
    assert pick_tables(["launch_datasets"]) == pick_tables(["launches", "launch_datasets"])
    assert not {"launches", "launch_datasets"} & pick_tables(["*", "!launches"])
