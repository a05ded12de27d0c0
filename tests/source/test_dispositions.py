"""Write dispositions and merge strategies by the capabilities of dlt's destinations."""

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
    """Return the capabilities of a dlt destination."""
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
def test_databases_merge_by_delete_insert(name: str, requested: Any) -> None:
    """Delete-insert is exact even if dlt loads a package twice."""
    chosen = choose_disposition(know(name), None, requested)
    assert (chosen, is_upsert(chosen)) == (DELETE_INSERT, False)


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
@pytest.mark.parametrize("requested", ["merge", UPSERT])
def test_delta_and_iceberg_tables_merge_by_upsert(table_format: str, requested: Any) -> None:
    """They support no other merge strategy."""
    chosen = choose_disposition(know("filesystem"), table_format, requested)
    assert (chosen, is_upsert(chosen)) == (UPSERT, True)


def test_athena_merges_iceberg_tables_only() -> None:
    athena = know("athena")
    assert choose_disposition(athena, "iceberg") == DELETE_INSERT
    with pytest.raises(ConfigurationError, match="table_format='iceberg', "):
        choose_disposition(athena, "hive")


@pytest.mark.parametrize("name", ["duckdb", "filesystem", "qdrant"])
@pytest.mark.parametrize("requested", ["append", "replace", {"disposition": "replace"}])
def test_append_and_replace_are_accepted_for_every_destination(name: str, requested: Any) -> None:
    chosen = choose_disposition(know(name), None, requested)
    assert chosen in {"append", "replace"}
    assert not is_upsert(chosen)


def test_plain_files_are_refused_for_a_merge() -> None:
    """Otherwise dlt would append the rows without a warning."""
    with pytest.raises(
        ConfigurationError, match="'delta' or 'iceberg', `tower-etl sync --destination p"
    ):
        choose_disposition(know("filesystem"), None)


@pytest.mark.parametrize("name", ["lancedb", "qdrant", "weaviate"])
def test_vector_stores_are_refused(name: str) -> None:
    """They upsert by generated keys, and support no table formats."""
    with pytest.raises(
        ConfigurationError, match="Expected `tower-etl sync --destination parquet`, or"
    ):
        choose_disposition(know(name), None)


@pytest.mark.parametrize("strategy", ["scd2", "insert-only", "cdc"])
def test_strategies_that_lose_rows_are_refused(strategy: str) -> None:
    """The message names the accepted dispositions."""
    with pytest.raises(ConfigurationError, match=f"{strategy}.*expected 'merge'"):
        choose_disposition(know("duckdb"), None, {"disposition": "merge", "strategy": strategy})


def test_the_disposition_skip_is_refused() -> None:
    """The state would claim that the skipped rows were loaded."""
    with pytest.raises(ConfigurationError, match="'skip'"):
        choose_disposition(know("duckdb"), None, "skip")


def test_a_merge_strategy_other_than_the_exact_one_is_refused() -> None:
    """An upsert duplicates rows if it is interrupted between staging and merge."""
    with pytest.raises(ConfigurationError, match="'upsert' may duplicate rows"):
        choose_disposition(know("duckdb"), None, UPSERT)
    with pytest.raises(ConfigurationError, match="'delete-insert' is not available"):
        choose_disposition(know("filesystem"), "delta", DELETE_INSERT)
