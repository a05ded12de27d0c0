"""Conversion of several fetched runs to tables in one run batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.extract.batch import (
    FetchedRun,
    RunBatch,
    TaskPageBuffer,
    build_batch,
)
from tower_etl.schema import TABLES
from tower_etl.sync import RunFetch, RunSummary
from tower_etl.transform import RunResponses

if TYPE_CHECKING:
    import pyarrow as pa

ALL = frozenset(TABLES)
LABEL = {"id": 7, "name": "urgent"}


def make_fetched_run(
    run_id: str, *labels: Any, tasks: int = 2, space: int | None = 1
) -> FetchedRun:
    """Return a run with tasks, metrics and progress; every other task has an extra field."""
    described = {
        "workflow": {"id": run_id, "status": "SUCCEEDED", "stats": {"odd": run_id}},
        "progress": {
            "workflowProgress": {"succeeded": tasks},
            "processesProgress": [{"process": "P"}],
        },
        "labels": list(labels),
    }
    pages = [
        [{"task": {"taskId": n, "name": run_id, "exit": n} | ({"new": n} if n % 2 else {})}]
        for n in range(1, tasks + 1)
    ]
    metrics = [{"process": "P", "cpu": {"mean": 1.5}, "time": None}]
    answers = RunResponses(described, space, None, pages, metrics)
    return FetchedRun(answers, RunSummary(RunFetch(run_id, None, None), "SUCCEEDED", None))


def list_rows(tables: dict[str, pa.Table]) -> dict[str, list[Any]]:
    """Return the rows of each table."""
    return {name: rows.to_pylist() for name, rows in tables.items()}


def test_a_batch_has_the_same_rows_as_its_runs_converted_one_by_one() -> None:
    """The runs belong to several workspaces and have extra fields."""
    fetched_runs = [
        make_fetched_run("a", LABEL),
        make_fetched_run("b", LABEL, space=None),
        make_fetched_run("c", LABEL),
    ]
    alone = [list_rows(build_batch([fetched], ALL)) for fetched in fetched_runs]

    together = list_rows(build_batch(fetched_runs, ALL))

    labels = together.pop("labels")
    expected = {name: [row for rows in alone for row in rows[name]] for name in together}
    assert expected == together
    assert [(row["id"], row["workspace_id"]) for row in labels] == [(7, 1)]  # as in the last run


def test_a_run_without_labels_has_a_tombstone_for_its_label_links() -> None:
    """The links of other runs stay."""
    rows = build_batch([make_fetched_run("a"), make_fetched_run("b", LABEL)], ALL)[
        "workflow_labels"
    ]

    links = {(row["workflow_id"], row["label_id"], row["_removed"]) for row in rows.to_pylist()}
    assert {("a", 0, True), ("b", 7, False)} == links


def test_tables_that_are_not_selected_are_left_out() -> None:
    wanted = frozenset({"workflows", "labels"})
    assert wanted == build_batch([make_fetched_run("a")], wanted).keys()


def test_task_pages_converted_during_the_fetch_give_the_same_rows() -> None:
    """The rows of a long run are converted in chunks of 1,000 before all pages have arrived."""
    waiting = make_fetched_run("a", tasks=2_345)
    taken = TaskPageBuffer(waiting.responses.constant_columns)
    for page in waiting.responses.tasks:
        taken.append(page)

    described = waiting.responses.detail
    answers = RunResponses(described, 1, None, taken.pages, waiting.responses.metrics)
    early = FetchedRun(answers, waiting.summary, tuple(taken.tables))

    assert [rows.num_rows for rows in taken.tables] == [1_000, 1_000]
    assert len(taken.keys) == 2_345
    assert waiting.row_count == early.row_count
    expected = list_rows(build_batch([waiting], ALL))
    assert expected == list_rows(build_batch([early], ALL))


def test_a_run_batch_is_full_by_its_number_of_runs_or_rows() -> None:
    work: Any = object()
    held, full = RunBatch(), []
    for number in range(32):
        held.add(work, make_fetched_run(str(number)))
        full.append(held.is_full)
    assert full == [False] * 31 + [True]
    assert [str(n) for n in range(32)] == [p.summary.fetch.run_id for _, p in held.drain()]
    assert (held.row_count, held.drain()) == (0, [])
    held.add(work, make_fetched_run("a", tasks=5_000))
    assert held.is_full
