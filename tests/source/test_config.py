"""Settings from dlt's configuration, and the selection of tables."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import dlt
import pytest

from tower_etl import tower_source
from tower_etl.config.dlt_config import dlt_config_value
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.source import select_command_tables

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the developer's own setting."""
    monkeypatch.delenv("ACCESS_TOKEN", raising=False)


def test_a_value_in_the_section_of_the_source_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__TOWER_ETL__TOWER__ACCESS_TOKEN", "from-dlt")
    assert dlt_config_value("access_token") == "from-dlt"


def test_a_value_in_the_short_section_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """`[sources.tower]` omits the name of the module."""
    monkeypatch.setenv("SOURCES__TOWER__ENDPOINT", "https://host/api")
    assert dlt_config_value("endpoint") == "https://host/api"


def test_an_unset_value_is_none() -> None:
    assert dlt_config_value("access_token") is None


@pytest.mark.parametrize("value", [42, "42"])
def test_a_number_is_returned_as_text(value: object) -> None:
    """A workspace id may be unquoted in a file, and is compared as text."""
    with dlt.config.values({"sources.tower_etl.tower.workspace_id": value}):
        assert dlt_config_value("workspace_id") == "42"


def test_the_source_reports_a_misspelt_setting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TOWER_ETL_EXCLUDES", "tasks.script")
    caplog.set_level(logging.WARNING, logger="dlt")
    logger = logging.getLogger("dlt")
    logger.addHandler(caplog.handler)
    try:
        tower_source(access_token="secret")
    finally:
        logger.removeHandler(caplog.handler)
    assert "Did you mean TOWER_ETL_EXCLUDE?" in caplog.text


def test_every_resource_of_the_source_is_a_table() -> None:
    """The extraction that feeds the tables cannot be selected: its items are of no table."""
    assert set(tower_source(access_token="secret").resources) == set(TABLES)


def test_required_tables_are_added_to_the_selected_tables() -> None:
    """Planning reads runs and their labels from the destination."""
    assert select_command_tables(()) == frozenset(TABLES) - {"launch_datasets", "audit_logs"}
    assert select_command_tables(["tasks"]) == {
        "tasks",
        "workflows",
        "workflow_labels",
        "labels",
        "sync_runs",
    }


def test_tables_can_be_selected_by_patterns() -> None:
    """Tables on demand, which cost calls in every sync, are selected only by pattern or name."""
    assert select_command_tables(["*"]) == frozenset(TABLES)
    assert {"teams", "team_members"} < select_command_tables(["team*"])
    assert "audit_logs" in select_command_tables(["audit_log?"])
    expected = r"Unknown table Taks\. Did you mean tasks or teams\? Expected one of workflows"
    with pytest.raises(ConfigurationError, match=expected):
        select_command_tables(["labels", "Taks"])
    with pytest.raises(
        ConfigurationError, match=r"Unknown table runs\*\. Expected one of workflows"
    ):
        select_command_tables(["tasks", "runs*"])


def test_tables_are_excluded_by_an_exclamation_mark() -> None:
    """Tables that every sync needs cannot be excluded."""
    assert select_command_tables(["!launches"]) == select_command_tables(()) - {"launches"}
    assert select_command_tables(["team*", "!team_members", "!*_history"]) == select_command_tables(
        ["teams"]
    )
    assert select_command_tables(["*", "!*_history"]) >= {"audit_logs", "launch_datasets", "teams"}
    with pytest.raises(
        ConfigurationError,
        match=r"Cannot exclude workflows: every sync needs it\. Remove '!workflows'",
    ):
        select_command_tables(["!workflows"])
    with pytest.raises(ConfigurationError, match=r"Unknown table !lanches\. Did you mean launches"):
        select_command_tables(["!lanches"])


def test_launch_datasets_are_selected_and_excluded_with_launches() -> None:
    """A row of `launches` records whether its datasets were listed."""
    assert select_command_tables(["launch_datasets"]) == select_command_tables(
        ["launches", "launch_datasets"]
    )
    assert not {"launches", "launch_datasets"} & select_command_tables(["*", "!launches"])


@pytest.mark.parametrize(
    ("variable", "file"),
    [
        ("", ""),
        ("SOURCES__TOWER_ETL__TOWER__PATH", ""),
        ("", ".dlt/config.toml"),
        ("DLT_PROJECT_DIR", "project/.dlt/secrets.toml"),
        ("XDG_DATA_HOME", "data/dlt/config.toml"),
    ],
)
def test_dlt_is_imported_only_if_it_may_have_a_setting(
    tmp_path: Path, variable: str, file: str
) -> None:
    """Importing dlt takes half a second, which `query` and `status` can do without."""
    if file:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text('[sources.tower_etl.tower]\npath = "found"\n')
    value = str(tmp_path / file.split("/", maxsplit=1)[0]) if file else "found"
    script = (
        "import sys; from tower_etl.config.dlt_config import dlt_config_value; "
        "print(dlt_config_value('path'), 'dlt' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
        | ({variable: value} if variable else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    # As root, dlt reads no folder of the user.
    expected = "None True" if variable == "XDG_DATA_HOME" and os.geteuid() == 0 else "found True"
    assert done.stdout.strip() == (expected if variable or file else "None False")
