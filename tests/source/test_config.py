"""dlt's configuration as a place where settings may come from."""

from __future__ import annotations

import dlt
import pytest

from tower_etl.config.dlt_config import dlt_config_value
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.source import resolve_table_names


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own."""
    monkeypatch.delenv("ACCESS_TOKEN", raising=False)


def test_a_value_of_our_section_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By dlt's own name for it."""
    monkeypatch.setenv("SOURCES__TOWER_ETL__TOWER__ACCESS_TOKEN", "from-dlt")
    assert dlt_config_value("access_token") == "from-dlt"


def test_the_short_section_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """`[sources.tower]`, where the module is left out."""
    monkeypatch.setenv("SOURCES__TOWER__ENDPOINT", "https://host/api")
    assert dlt_config_value("endpoint") == "https://host/api"


def test_what_is_not_set_is_none() -> None:
    """And no error."""
    assert dlt_config_value("access_token") is None


@pytest.mark.parametrize("value", [42, "42"])
def test_a_number_comes_as_text(value: object) -> None:
    """A workspace id stands without quotes in a file, and is compared as text."""
    with dlt.config.values({"sources.tower_etl.tower.workspace_id": value}):
        assert dlt_config_value("workspace_id") == "42"


def test_tables_that_a_sync_cannot_do_without_come_with_those_asked_for() -> None:
    """Planning reads runs and their labels out of the target."""
    assert resolve_table_names(()) == frozenset(TABLES) - {"launch_datasets", "audit_logs"}
    assert resolve_table_names(["tasks"]) == {
        "tasks",
        "workflows",
        "workflow_labels",
        "labels",
        "sync_runs",
    }


def test_tables_may_be_named_by_patterns() -> None:
    """What costs calls at every sync comes only so, or by its name."""
    assert resolve_table_names(["*"]) == frozenset(TABLES)
    assert {"teams", "team_members"} < resolve_table_names(["team*"])
    assert "audit_logs" in resolve_table_names(["audit_log?"])
    expected = r"Unknown table Taks\. Did you mean tasks or teams\? Expected one of workflows"
    with pytest.raises(ConfigurationError, match=expected):
        resolve_table_names(["labels", "Taks"])
    with pytest.raises(
        ConfigurationError, match=r"Unknown table runs\*\. Expected one of workflows"
    ):
        resolve_table_names(["tasks", "runs*"])


def test_a_table_is_left_out_by_an_exclamation_mark() -> None:
    """Of all tables, or of those that are named; a sync's own tables stay."""
    assert resolve_table_names(["!launches"]) == resolve_table_names(()) - {"launches"}
    assert resolve_table_names(["team*", "!team_members", "!*_history"]) == resolve_table_names(
        ["teams"]
    )
    assert resolve_table_names(["*", "!*_history"]) >= {"audit_logs", "launch_datasets", "teams"}
    with pytest.raises(
        ConfigurationError, match=r"Cannot exclude workflows: every sync needs these tables"
    ):
        resolve_table_names(["!workflows"])
    with pytest.raises(ConfigurationError, match=r"Unknown table !lanches\. Did you mean launches"):
        resolve_table_names(["!lanches"])


def test_datasets_of_launches_come_with_launches() -> None:
    """A launch remembers whether its datasets were listed; without launches there are none."""
    assert resolve_table_names(["launch_datasets"]) == resolve_table_names(
        ["launches", "launch_datasets"]
    )
    assert not {"launches", "launch_datasets"} & resolve_table_names(["*", "!launches"])
