"""Rows for destinations that upsert: one row per key, and tombstones for removed label links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.extract.destination_state import DestinationState
from tower_etl.schema import TABLES, label_link_tombstones, label_links
from tower_etl.source.dispositions import prepare_upserts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LABELS, LINKS = TABLES["labels"], TABLES["workflow_labels"]


class StoredRows(DestinationState):
    """A destination that holds rows of one table."""

    def __init__(self, rows: pa.Table) -> None:
        super().__init__(None)
        self._rows = rows

    def read_groups(
        self, name: str, column: str, values: Iterable[object], columns: Sequence[str] = ()
    ) -> pa.Table:
        """Return the rows whose column has one of the values."""
        assert (name, columns) == (LINKS.name, ())
        return self._rows.filter(pc.is_in(self._rows[column], pa.array(values)))


NOTHING = StoredRows(LINKS.arrow_schema.empty_table())


def link(run_id: str, *labels: int) -> pa.Table:
    """Return the label links of a run."""
    return label_links(({"id": label} for label in labels), workflow_id=run_id, workspace_id=1)


def prepare(*batches: dict[str, pa.Table], held: StoredRows = NOTHING) -> list[dict[str, Any]]:
    """Prepare the batches of a load package; return each batch as rows."""
    ready = prepare_upserts(batches, [LABELS, LINKS], held)
    return [{name: rows.to_pylist() for name, rows in batch.items()} for batch in ready]


def list_links(rows: list[dict[str, Any]]) -> set[tuple[str, int, bool]]:
    """Return run, label and removal mark of each link."""
    return {(row["workflow_id"], row["label_id"], row["_removed"]) for row in rows}


def test_only_the_last_row_of_a_key_is_yielded() -> None:
    """The rows come in different batches."""
    batches = [
        {"labels": LABELS.build([{"id": 1, "name": name}], workspace_id=1)}
        for name in ("old", "new")
    ]
    (found,) = prepare(*batches)
    assert [(row["id"], row["name"]) for row in found["labels"]] == [(1, "new")]


def test_tables_without_upsert_are_yielded_at_once() -> None:
    """They are merged by delete-insert."""
    rows = TABLES["users"].build([{"id": 1, "userName": "kim"}])
    found = prepare({"users": rows, "workflow_labels": link("a", 1)}, {"users": rows})
    assert [list(batch) for batch in found] == [["users"], ["users"], ["workflow_labels"]]


def test_a_removed_label_link_becomes_a_tombstone() -> None:
    """Only the links of runs in the load package are compared with the stored ones."""
    held = StoredRows(pa.concat_tables([link("a", 1, 2), link("b", 1), link("c", 1)]))
    bare = label_link_tombstones(["b"], workspace_id=1)
    (found,) = prepare({"workflow_labels": link("a", 2, 3)}, {"workflow_labels": bare}, held=held)
    assert list_links(found["workflow_labels"]) == {
        ("a", 2, False),
        ("a", 3, False),
        ("a", 1, True),
        ("b", 1, True),
    }


def test_a_first_load_writes_no_tombstones() -> None:
    """The destination would store a tombstone as a row."""
    (found,) = prepare({"workflow_labels": label_link_tombstones(["a"], workspace_id=1)})
    assert found["workflow_labels"] == []


def test_a_stored_tombstone_is_not_written_again() -> None:
    """Iceberg keeps tombstones. A label that is added again becomes a link again."""
    gone = link("a", 1, 2)
    gone = gone.set_column(3, gone.schema.field(3), pa.array([True, True]))
    (found,) = prepare({"workflow_labels": link("a", 2)}, held=StoredRows(gone))
    assert list_links(found["workflow_labels"]) == {("a", 2, False)}


def test_a_load_package_without_batches_stays_empty() -> None:
    assert prepare() == []
