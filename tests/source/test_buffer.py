"""The batch buffer: rows on their way to dlt are joined, deduplicated and counted."""

from __future__ import annotations

import pyarrow as pa

from tower_etl.extract.batch import FLUSH_ROWS, RowBuffer
from tower_etl.schema import (
    TABLES,
    deduplicate,
    label_link_tombstones,
    label_links,
)


def make_labels(*labels: tuple[int, str]) -> pa.Table:
    """Return rows of `labels`."""
    return TABLES["labels"].build([{"id": key, "name": name} for key, name in labels])


def test_the_last_row_of_a_key_replaces_earlier_ones() -> None:
    """Two runs name the same label, which was renamed in between."""
    buffer = RowBuffer()
    buffer.add({"labels": make_labels((1, "old"), (2, "two"))})
    buffer.add({"labels": make_labels((1, "new"))})
    rows = buffer.flush()["labels"]
    assert dict(zip(*rows.select(["id", "name"]).to_pydict().values(), strict=True)) == {
        1: "new",
        2: "two",
    }
    assert buffer.written == {"labels": 2}


def test_keys_of_several_columns_are_compared_as_a_whole() -> None:
    """The same label on two runs makes two links."""
    rows = pa.table({"a": [1, 1, 2], "b": [1, 2, 1], "c": ["x", "y", "z"]})
    assert deduplicate(rows, ("a", "b")).equals(rows)
    assert deduplicate(rows, ("a",))["c"].to_pylist() == ["y", "z"]


def test_a_flush_empties_the_buffer_but_keeps_the_row_counts() -> None:
    buffer = RowBuffer()
    buffer.add({"labels": make_labels((1, "one"))})
    assert [rows.num_rows for rows in buffer.flush().values()] == [1]
    assert (buffer.flush(), buffer.row_count) == ({}, 0)
    buffer.add({"labels": make_labels((2, "two"))})
    assert buffer.row_counts() == {"labels": 2}


def test_the_buffer_is_full_at_a_number_of_rows() -> None:
    """Empty tables do not count."""
    buffer = RowBuffer()
    buffer.add({"labels": make_labels(*((key, "x") for key in range(FLUSH_ROWS - 1)))})
    buffer.add({"labels": make_labels()})
    assert not buffer.is_full
    buffer.add({"labels": make_labels((FLUSH_ROWS, "x"))})
    assert buffer.is_full


def test_tombstones_are_not_counted_as_rows() -> None:
    """A run without labels removes links and writes none."""
    buffer = RowBuffer()
    label = {"id": 7, "name": "x"}
    buffer.add({"workflow_labels": label_links([label], workflow_id="a", workspace_id=1)})
    buffer.add({"workflow_labels": label_link_tombstones(["b"], workspace_id=1)})
    assert buffer.row_counts() == {"workflow_labels": 1}
    assert buffer.flush()["workflow_labels"].num_rows == 2
    assert buffer.row_counts() == {"workflow_labels": 1}
