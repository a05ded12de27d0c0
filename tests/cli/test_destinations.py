"""`--destination` and `--path`: where a sync writes, and which values are refused."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tower_etl.config.resolver import SettingSources
from tower_etl.destinations.config import resolve_destination
from tower_etl.destinations.lake.manifest import Manifest, ManifestStore
from tower_etl.destinations.local_folder import LocalFolder
from tower_etl.errors import ConfigurationError
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tower_etl.simulator import World


@pytest.mark.slow
def test_a_lake_is_synced_queried_and_maintained(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """The environment or a flag gives the type; `status` and `query` detect it from the path."""
    world.submit_run(lab)
    ended = console.run("sync", "--endpoint", endpoint, TOWER_ETL_DESTINATION="parquet")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("tower-parquet: ok; 1 runs")
    path = ("--path", "tower-parquet")
    assert "acme/lab" in console.run("status", *path).out
    counted = console.run("query", "SELECT count(*) AS n FROM workflows", *path, "--format", "csv")
    assert counted.out.split() == ["n", "1"]
    assert console.run("maintain", "--destination", "parquet", *path).code == 0


@pytest.mark.slow
def test_a_stale_workspace_exits_with_4_and_is_named(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    assert console.run("sync", "--endpoint", endpoint).code == 0
    assert console.run("status", "--max-age", "1h").code == 0
    stale = console.run("status", "--max-age", "0s", "--json")
    assert stale.code == 4
    assert "Stale: acme/lab, last synced " in stale.err
    assert "acme/lab" in stale.json["stale"]


@pytest.mark.slow
def test_prometheus_metrics_have_freshness_rows_and_calls(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """Parse the metrics with the parser of Prometheus.

    They are written to a file for the textfile collector, or printed.
    """
    world.submit_run(lab)
    assert console.run("sync", "--endpoint", endpoint).code == 0
    file = console.folder / "tower.prom"
    ended = console.run("status", "--max-age", "0s", "--prometheus", file.name)
    assert (ended.code, ended.out) == (4, "")
    found = read_metrics(file.read_text())
    assert time.time() - found["tower_etl_last_success_timestamp_seconds", "acme/lab"] < 600
    assert 0 <= found["tower_etl_age_seconds", "acme/lab"] < 600
    assert (
        found["tower_etl_runs", "acme/lab"],
        found["tower_etl_tasks", "acme/lab"],
        found["tower_etl_open_runs", "acme/lab"],
    ) == (1, 0, 1)
    synced = console.select(
        "SELECT calls, retries, throttled_seconds, seconds, epoch_us(finished_at) / 1e6 "
        "FROM sync_runs"
    )
    names = ("calls", "retries", "throttled_seconds", "duration_seconds", "timestamp_seconds")
    assert synced == [tuple(found[f"tower_etl_last_sync_{name}", ""] for name in names)]
    statuses = {s: found["tower_etl_last_sync_status", s] for s in ("ok", "partial", "failed")}
    assert statuses == {"ok": 1, "partial": 0, "failed": 0}
    assert found["tower_etl_status_exit_code", ""] == 4
    printed = read_metrics(console.run("status", "--prometheus", "-").out)
    assert (printed.keys(), printed["tower_etl_status_exit_code", ""]) == (found.keys(), 0)
    assert console.run("status", "--prometheus", "no/such/folder").code == 2


def read_metrics(text: str) -> dict[tuple[str, str], float]:
    """Return values of metrics by name and labels."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("age", ["", "1", "h", "-1h", "1w", "1e9d"])
def test_an_invalid_max_age_exits_with_2(console: Console, age: str) -> None:
    assert console.run("status", f"--max-age={age}").code == 2


@pytest.mark.parametrize(
    ("kind", "path", "said"),
    [
        ("oracle", None, "Unknown destination 'oracle'"),
        ("parquet", "s3://bucket/folder", "For a bucket, use --destination delta or iceberg"),
        ("duckdb", "s3://bucket/folder", "a local folder"),
        ("delta", "gs://bucket/folder", "like s3://bucket/folder"),
        ("iceberg", "https://bucket/folder", "like s3://bucket/folder"),
        ("delta", "s3://key:hush@bucket/folder", "contains a password"),
        ("delta", "s3://key@bucket/folder", "like s3://bucket/folder"),
        ("parquet", " ", "Empty --path"),
        ("duckdb", "postgresql://host/db", "add --destination postgres"),
        ("postgres", "postgresql://me:hush@host/db", "contains a password"),
        ("postgres", "postgresql://host/db?password=hush", "contains a password"),
        ("postgres", "postgresql://me:hush@[host/db", "contains a password"),
    ],
)
def test_an_invalid_destination_is_refused_without_its_password(
    kind: str, path: str | None, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refusal:
        resolve_destination(kind, path, SettingSources(environ={}))
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "library"), [("delta", "deltalake"), ("iceberg", "pyiceberg.exceptions")]
)
def test_reading_a_lake_without_its_library_names_the_extra(
    kind: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = ManifestStore(LocalFolder(tmp_path), kind)
    notes.mark_in_progress()
    notes.write(Manifest(kind, "first"), None)
    monkeypatch.delitem(sys.modules, f"tower_etl.destinations.lake.{kind}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    said = rf"{library}, which is missing.*pip install '.*\[{kind}\]'"
    with pytest.raises(ConfigurationError, match=said):
        open_reader(tmp_path)


BUCKET = "s3://bucket/tower"


@pytest.mark.parametrize(
    ("environ", "path", "kind"),
    [
        ({}, BUCKET, "delta"),
        ({"TOWER_ETL_PATH": BUCKET}, None, "delta"),
        ({"TOWER_ETL_DESTINATION": "iceberg"}, BUCKET, "iceberg"),
        ({"TOWER_ETL_DESTINATION": "parquet"}, BUCKET, "delta"),
        ({"TOWER_ETL_DESTINATION": "delta"}, "postgresql://host/db", "postgres"),
        ({"TOWER_ETL_DESTINATION": "parquet"}, "folder", "parquet"),
    ],
)
def test_the_type_of_a_destination_to_read_follows_from_its_url(
    environ: dict[str, str], path: str | None, kind: str
) -> None:
    """The configured type is used if it has URLs of that form."""
    found = resolve_destination(None, path, SettingSources(environ=environ), exists=True)
    assert (found.kind, found.path) == (kind, path or BUCKET)


def test_a_bucket_url_is_refused_with_type_duckdb_or_for_an_untyped_sync() -> None:
    """A type that a flag names is not replaced, and a sync has to know the format to write."""
    for kind, exists in (("duckdb", True), (None, False)):
        with pytest.raises(ConfigurationError, match="--destination delta or iceberg"):
            resolve_destination(kind, BUCKET, SettingSources(environ={}), exists=exists)


@pytest.mark.parametrize("command", ["sync", "maintain"])
def test_a_folder_without_a_destination_type_is_refused_with_the_missing_option(
    console: Console, tmp_path: Path, command: str
) -> None:
    (tmp_path / "lake").mkdir()
    ended = console.run(command, "--path", str(tmp_path / "lake"))
    assert ended.code == 2
    assert "add --destination parquet, delta or iceberg" in ended.err


def test_reading_before_the_first_sync_ends_says_so(tmp_path: Path) -> None:
    """The folder of the staging copy exists before the file."""
    (tmp_path / "runs.duckdb.sync").mkdir()
    with pytest.raises(ConfigurationError, match=r"does not exist\. A sync .* was interrupted"):
        open_reader(tmp_path / "runs.duckdb")
    (tmp_path / "runs.duckdb").mkdir()  # the folder of a lake
    with pytest.raises(ConfigurationError, match=r"contains no tables .* was interrupted"):
        open_reader(tmp_path / "runs.duckdb")


def test_a_password_from_the_environment_is_not_in_the_config_repr() -> None:
    environ = {"TOWER_ETL_POSTGRES": "postgresql://me:hush@host/db", "XDG_STATE_HOME": "/state"}
    place = resolve_destination("postgres", None, SettingSources(environ=environ))
    assert "hush" not in repr(place)
    assert (place.path, place.state) == ("", Path("/state/tower-etl/targets"))


def test_an_unreachable_postgres_exits_with_2_and_writes_no_file(
    console: Console, endpoint: str
) -> None:
    address = "postgresql://me@127.0.0.1:1/db"
    ended = console.run(
        "sync", "--endpoint", endpoint, "--destination", "postgres", "--path", address
    )
    assert ended.code == 2
    assert "PostgreSQL cannot be reached" in ended.err
    assert list(console.folder.iterdir()) == []
