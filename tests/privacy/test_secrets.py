"""No secret of a response reaches tables, state, files, output or logs."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pyarrow.parquet as pq
import pytest
from dlt.common.versioned_state import decompress_state

from tests.cli.console import make_console
from tests.privacy.conftest import TOKEN
from tests.privacy.secret_injector import KEPT
from tests.privacy.secret_samples import SECRETS, list_leaks
from tower_etl.destinations.dlt_pipeline import dlt_defaults
from tower_etl.destinations.duckdb import open_pipeline
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.schema import TABLES
from tower_etl.source import tower_source

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console
    from tests.privacy.secret_injector import SecretInjector

pytestmark = pytest.mark.slow


def read_tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all rows by table, including the tables of dlt with their state unpacked."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'tower'"
        ).fetchall()
        tables = {name: read_rows(connection, name) for (name,) in names}
    for row in tables["_dlt_pipeline_state"]:
        row["state"] = decompress_state(row["state"])
    return tables


def read_rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    found = connection.execute(f"SELECT * FROM tower.{name}")  # noqa: S608 a name from the catalog
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def list_files(root: Path) -> str:
    """Return all paths and contents in a folder as text, with Parquet decoded."""
    texts = [str(path) for path in root.rglob("*")]
    for path in (path for path in root.rglob("*") if path.is_file()):
        packed = path.suffix == ".parquet"
        texts.append(
            str(pq.read_table(path).to_pylist()) if packed else path.read_text(errors="replace")
        )
    return "\n".join(texts)


@pytest.fixture(scope="module")
def console_and_output(
    tmp_path_factory: pytest.TempPathFactory, endpoint: str
) -> tuple[Console, str]:
    """Return a console after two syncs, and all output of its commands with debug logs."""
    console = make_console(tmp_path_factory.mktemp("talkative"))
    variables = {
        "TOWER_ACCESS_TOKEN": TOKEN,
        "RUNTIME__LOG_LEVEL": "DEBUG",
        "TOWER_ETL_DEBUG": "1",
    }
    commands = (
        ("sync", "--endpoint", endpoint, "--path", "t.duckdb", "--rate", "none"),
        ("sync", "--endpoint", endpoint, "--path", "t.duckdb", "--rate", "none", "--json"),
        ("check", "--endpoint", endpoint),
        ("status", "--path", "t.duckdb"),
    )
    printed = ""
    for command in commands:
        ended = console.run(*command, **variables)
        assert ended.code == 0, ended.err
        printed += ended.out + ended.err
    assert "|dlt|" in printed  # the debug log was written
    return console, printed


def test_no_secret_reaches_tables_state_files_or_output(
    console_and_output: tuple[Console, str], secret_platform: SecretInjector
) -> None:
    """The secrets have every known form; the access token is one of them."""
    console, printed = console_and_output
    tables = read_tables(console.folder / "t.duckdb")
    assert secret_platform.planted > 10 * len(SECRETS)
    assert list_leaks(repr(tables)) == []
    assert list_leaks(list_files(console.folder) + list_files(console.home)) == []
    assert list_leaks(printed) == []
    assert "hunter2" not in repr(tables)


def test_texts_with_secrets_are_stored_with_the_secret_masked(
    console_and_output: tuple[Console, str],
) -> None:
    """At least half of the text columns of each filled table must hold such a text."""
    tables = read_tables(console_and_output[0].folder / "t.duckdb")
    for name, rows in ((name, tables[name]) for name in TABLES if tables[name]):
        columns = [
            column.name
            for column in TABLES[name].columns
            if column.can_hold_secrets
            and column.source != "tower-etl"
            and KEPT.isdisjoint(column.path)
            # A column is null if a text replaced its object.
            and any(row[column.name] is not None for row in rows)
        ]
        corrupted = [c for c in columns if any("some text" in str(row[c]) for row in rows)]
        assert all("***" in str(row[c]) for c in corrupted for row in rows if "text" in str(row[c]))
        assert len(corrupted) >= len(columns) / 2, (name, set(columns) - set(corrupted))


def test_no_redact_stores_texts_with_their_secrets(console: Console, endpoint: str) -> None:
    """This also proves that the tests above can fail. The output is redacted in any case."""
    ended = console.run(
        *("sync", "--endpoint", endpoint, "--path", "t.duckdb", "--rate", "none", "--no-redact"),
        TOWER_ACCESS_TOKEN=TOKEN,
    )
    assert ended.code == 0, ended.err
    assert len(list_leaks(repr(read_tables(console.folder / "t.duckdb")))) > len(SECRETS) / 2
    assert list_leaks(ended.out + ended.err) == []


def test_no_secret_is_in_files_of_extraction_and_normalization(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the steps of dlt would leave these files behind."""
    monkeypatch.setenv("TOWER_ETL_RATE", "none")
    target = resolve_duckdb_paths(tmp_path / "t.duckdb")
    target.work_dir.mkdir()
    source = tower_source(endpoint=endpoint, access_token=TOKEN)
    with dlt_defaults():
        pipeline = open_pipeline(target)
        pipeline.extract(source, loader_file_format="parquet")
        extracted = list_files(tmp_path)
        pipeline.normalize()
        normalized = list_files(tmp_path)
    assert "some text" in extracted
    assert "some text" in normalized
    assert list_leaks(extracted + normalized) == []
    assert list_leaks(json.dumps(pipeline.state, default=str)) == []


def test_no_secret_is_logged_at_any_level(
    tmp_path: Path,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All libraries log at their lowest level."""
    monkeypatch.setenv("TOWER_ETL_RATE", "none")
    caplog.set_level(logging.NOTSET)
    logging.getLogger("dlt").addHandler(caplog.handler)
    pipeline = dlt.pipeline(
        "logged",
        pipelines_dir=str(tmp_path / "dlt"),
        destination=dlt.destinations.duckdb(str(tmp_path / "t.duckdb")),
        dataset_name="tower",
    )
    with dlt_defaults():
        try:
            pipeline.run(
                tower_source(endpoint=endpoint, access_token=TOKEN), loader_file_format="parquet"
            )
        finally:
            logging.getLogger("dlt").removeHandler(caplog.handler)
    assert caplog.records
    assert list_leaks(caplog.text + repr([vars(record) for record in caplog.records])) == []
