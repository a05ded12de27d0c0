"""The manifest of a lake: its JSON keys are those of earlier versions."""

from __future__ import annotations

import json

from tower_etl.destinations.lake.manifest import (
    VERSION,
    Manifest,
    PartitionEntry,
    TableEntry,
    load_manifest,
)


def test_the_manifest_keeps_the_json_keys_of_earlier_versions() -> None:
    partition = PartitionEntry("abc", "month=2026-01/a.parquet")
    table = TableEntry("CREATE TABLE tasks (id BIGINT)", {"2026-01-01": partition}, "7")
    manifest = Manifest("parquet", "first", {"tasks": table})
    written = {
        "version": VERSION,
        "kind": "parquet",
        "generation": "first",
        "tables": {
            "tasks": {
                "ddl": "CREATE TABLE tasks (id BIGINT)",
                "parts": {"2026-01-01": {"fingerprint": "abc", "file": "month=2026-01/a.parquet"}},
                "state": "7",
            }
        },
    }

    assert json.loads(manifest.dump()) == written
    assert load_manifest(json.dumps(written)) == manifest
