"""Loading of bills: one dlt load package that replaces the billing periods it contains.

The rows are staged, and replace their billing periods in one transaction. A killed load has
therefore changed either nothing or everything; the next load reads the files again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa

from tower_etl.billing.columns import TagMapping
from tower_etl.billing.files import list_files, open_file
from tower_etl.billing.reader import check_format, iter_lines
from tower_etl.destinations.dlt_pipeline import (
    delete_completed_packages,
    dlt_defaults,
    load_pending_packages,
)
from tower_etl.destinations.errors import explained
from tower_etl.errors import ConfigurationError
from tower_etl.schema import BILL_LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dlt.extract import DltSource

    from tower_etl.billing.files import ExportFile
    from tower_etl.clock import Clock
    from tower_etl.destinations.base import Destination

PIPELINE = "tower_bills"

_MEMORY = "450MB"
# Load one file of limited size at a time, because dlt reads each file into memory as a whole.
_CONFIGURATION = {"sources.data_writer.file_max_items": 200_000, "load.workers": 1}
# Condition for the rows to replace: the staged periods. A `merge_key` has the same effect, but
# compares with every staged row.
_KEY = ", ".join(BILL_LINES.merge_key)
_REPLACED = f"({_KEY}) IN (SELECT DISTINCT {_KEY} FROM {{staging_table}})"  # noqa: S608 names of columns


@dataclass(frozen=True, order=True)
class Period:
    """A billing period of an account; a load replaces it as a whole.

    Attributes:
        provider: Format of the export.
        account: Billing account.
        month: Billing period as YYYY-MM.
        currency: Currency of the lines.
    """

    provider: str
    account: str
    month: str
    currency: str


@dataclass
class BillReport:
    """Summary of a load.

    Attributes:
        files: Number of files read.
        lines: Number of lines, by period.
        warnings: Messages about skipped files.
        seconds: Duration of the load, including the publication of the tables.
    """

    files: int = 0
    lines: Counter[Period] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, rows: pa.Table) -> None:
        """Add the number of lines in a batch."""
        names = ["provider", "billing_account", "billing_period", "currency"]
        grouped = rows.select([*names, "cost"]).group_by(names, use_threads=False)
        for row in grouped.aggregate([("cost", "count")]).to_pylist():
            period = Period(*(row[name] or "unknown" for name in names))
            self.lines[period] += row["cost_count"]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "status": "ok",
            "files": self.files,
            "lines": self.lines.total(),
            "periods": [
                {
                    "provider": period.provider,
                    "account": period.account,
                    "period": period.month,
                    "lines": self.lines[period],
                    "currency": period.currency,
                }
                for period in sorted(self.lines)
            ],
            "warnings": self.warnings,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class BillLoad:
    """A load of export files into a destination.

    Attributes:
        destination: Destination that contains the runs.
        sources: Files, folders and patterns, local or in S3.
        provider: A key of `tower_etl.billing.reader.FORMATS`.
        clock: Clock for load times and the lock.
        mapping: Tags that identify runs, tasks and compute environments.
        on_file: Called with the name of each file before it is read.
    """

    destination: Destination
    sources: Sequence[str]
    provider: str
    clock: Clock
    mapping: TagMapping = field(default_factory=TagMapping)
    on_file: Callable[[str], None] = print

    def run(self) -> BillReport:
        """Load the files, and publish the tables.

        Raises:
            ConfigurationError: There is no file, a file has another format, or the destination
                has no runs.
            DestinationLockedError: A sync or another load has locked the destination.
            DestinationError: The disk is full, or the destination stopped responding.
            TowerEtlError: The load failed; the billing periods are unchanged.
        """
        started = self.clock.monotonic()
        files, warnings = list_files(self.sources)
        report = BillReport(files=len(files), warnings=warnings)
        destination = self.destination
        with explained(destination.title):
            destination.validate()
            # Checked before the staging copy is made, which a failed load leaves for the next one.
            for file in files:
                if file.is_local:
                    check_format(Path(file.name), file.name, self.provider)
            with destination.lock(self.clock):
                destination.prepare()
                self._load(files, report)
                destination.publish(self.clock.now())
        report.seconds = self.clock.monotonic() - started
        return report

    def _load(self, files: Sequence[ExportFile], report: BillReport) -> None:
        destination = self.destination
        with dlt_defaults(), dlt.config.values(_CONFIGURATION):
            _finish_sync(destination)
            pipeline = _start_pipeline(destination)
            pipeline.extract(self._make_source(files, report), loader_file_format="parquet")
            pipeline.normalize()
            with destination.package_context(_MEMORY):
                pipeline.sync_schema()
                pipeline.load()
            delete_completed_packages(pipeline)

    def _make_source(self, files: Sequence[ExportFile], report: BillReport) -> DltSource:
        @dlt.source(name="bills", max_table_nesting=0)
        def bills() -> Any:  # noqa: ANN401 a source function of dlt
            return dlt.resource(
                self._iter_rows(files, report),
                name=BILL_LINES.name,
                write_disposition={
                    "disposition": "merge",
                    "strategy": "delete-insert",
                    "destination_scope": _REPLACED,
                },
                columns={c.name: {"data_type": "json"} for c in BILL_LINES.columns if c.is_json},
            )

        return bills()

    def _iter_rows(self, files: Sequence[ExportFile], report: BillReport) -> Iterator[pa.Table]:
        next_number = 0
        for file in files:
            self.on_file(file.name)
            with open_file(file) as path:
                batches = iter_lines(path, file.name, self.provider, self.mapping, file.period)
                for rows in batches:
                    report.count(rows)
                    yield _number_lines(rows, next_number)
                    next_number += len(rows)


def _number_lines(rows: pa.Table, first: int) -> pa.Table:
    """Return the rows with line numbers, in the types of the table (key columns not null)."""
    numbers = pa.array(range(first, first + len(rows)), pa.int64())
    index = rows.schema.get_field_index("line_number")
    column = BILL_LINES.arrow_schema.field("line_number")
    return rows.set_column(index, column.name, numbers).cast(BILL_LINES.arrow_schema)


def _finish_sync(destination: Destination) -> None:
    """Load the pending package of an interrupted sync, so that it is not published half-loaded."""
    pipeline = destination.open_pipeline()
    with destination.package_context():
        reason = load_pending_packages(pipeline)
    if reason:
        destination.reset()
    if pipeline.default_schema_name is None:
        msg = (
            f"{destination.title} has no runs yet: run `tower-etl sync` first, then load the bill."
        )
        raise ConfigurationError(msg)


def _start_pipeline(destination: Destination) -> dlt.Pipeline:
    """Return the billing pipeline with an empty working folder."""
    pipeline = destination.open_pipeline(PIPELINE)
    shutil.rmtree(pipeline.working_dir, ignore_errors=True)
    Path(pipeline.working_dir).parent.mkdir(parents=True, exist_ok=True)
    pipeline = destination.open_pipeline(PIPELINE)
    with destination.package_context():
        pipeline.sync_destination()
    return pipeline
