"""How rows are merged: by what dlt's destinations say that they can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest

from tower_etl.errors import ConfigurationError
from tower_etl.source.dispositions import choose_disposition, is_upsert

if TYPE_CHECKING:
    from dlt.common.destination import DestinationCapabilitiesContext

DELETE_INSERT = {"disposition": "merge", "strategy": "delete-insert"}
UPSERT = {"disposition": "merge", "strategy": "upsert"}


def know(name: str) -> DestinationCapabilitiesContext:
    """What a destination of dlt can do, by its name."""
    found: DestinationCapabilitiesContext = getattr(dlt.destinations, name)().capabilities()
    return found


@pytest.mark.parametrize(
    "name",
    [
        "bigquery",
        "clickhouse",
        "databricks",
        "duckdb",
        "mssql",
        "postgres",
        "redshift",
        "snowflake",
        "sqlalchemy",
    ],
)
@pytest.mark.parametrize("requested", ["merge", {"disposition": "merge"}, DELETE_INSERT])
def test_databases_delete_and_insert(name: str, requested: Any) -> None:
    """Which is exact when a package is loaded twice."""
    chosen = choose_disposition(know(name), None, requested)
    assert (chosen, is_upsert(chosen)) == (DELETE_INSERT, False)


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
@pytest.mark.parametrize("requested", ["merge", UPSERT])
def test_lakes_upsert(table_format: str, requested: Any) -> None:
    """There is nothing else."""
    chosen = choose_disposition(know("filesystem"), table_format, requested)
    assert (chosen, is_upsert(chosen)) == (UPSERT, True)


def test_athena_merges_where_its_tables_are_iceberg() -> None:
    """By format of the table, or of the destination."""
    athena = know("athena")
    assert choose_disposition(athena, "iceberg") == DELETE_INSERT
    with pytest.raises(ConfigurationError, match="table_format='iceberg', "):
        choose_disposition(athena, "hive")


@pytest.mark.parametrize("name", ["duckdb", "filesystem", "qdrant"])
@pytest.mark.parametrize("requested", ["append", "replace", {"disposition": "replace"}])
def test_append_and_replace_are_possible_everywhere(name: str, requested: Any) -> None:
    """Who asks for one knows what it does."""
    chosen = choose_disposition(know(name), None, requested)
    assert chosen in {"append", "replace"}
    assert not is_upsert(chosen)


def test_plain_files_are_refused() -> None:
    """Where dlt would append without a word."""
    with pytest.raises(
        ConfigurationError, match="'delta' or 'iceberg', `tower-etl sync --destination p"
    ):
        choose_disposition(know("filesystem"), None)


@pytest.mark.parametrize("name", ["lancedb", "qdrant", "weaviate"])
def test_vector_stores_are_refused(name: str) -> None:
    """They upsert by keys of their own, and have no formats to choose from."""
    with pytest.raises(
        ConfigurationError, match="Expected `tower-etl sync --destination parquet`, or"
    ):
        choose_disposition(know(name), None)


@pytest.mark.parametrize("strategy", ["scd2", "insert-only", "cdc"])
def test_strategies_that_lose_rows_are_refused(strategy: str) -> None:
    """With those that there are instead."""
    with pytest.raises(ConfigurationError, match=f"{strategy}.*expected 'merge'"):
        choose_disposition(know("duckdb"), None, {"disposition": "merge", "strategy": strategy})


def test_what_is_not_loaded_is_refused() -> None:
    """The state would say that it was."""
    with pytest.raises(ConfigurationError, match="'skip'"):
        choose_disposition(know("duckdb"), None, "skip")


def test_an_upsert_is_refused_where_rows_can_be_deleted_and_inserted() -> None:
    """It doubles rows when it is interrupted between staging and merge."""
    with pytest.raises(ConfigurationError, match="'upsert' may duplicate rows"):
        choose_disposition(know("duckdb"), None, UPSERT)
    with pytest.raises(ConfigurationError, match="'delete-insert' is not available"):
        choose_disposition(know("filesystem"), "delta", DELETE_INSERT)
