"""Loading bills: one package of dlt that replaces the billing periods which it has lines of.

The rows are staged, and take the place of their periods in one transaction. A load that is killed
has changed nothing, or all; the next one starts from the files again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa

from tower_etl.billing.files import list_files, open_file
from tower_etl.billing.reader import iter_lines
from tower_etl.billing.tags import TagMapping
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
# One file at a time, of bounded size: each is loaded whole.
_CONFIGURATION = {"sources.data_writer.file_max_items": 200_000, "load.workers": 1}
# The periods that are staged. A `merge_key` would do the same, and compare with every staged row.
_KEY = ", ".join(BILL_LINES.merge_key)
_REPLACED = f"({_KEY}) IN (SELECT DISTINCT {_KEY} FROM {{staging_table}})"  # noqa: S608 names of columns


@dataclass(frozen=True, order=True)
class Period:
    """A billing period of an account, which a load replaces as a whole.

    Attributes:
        provider: Format of the export.
        account: Account that pays.
        month: As YYYY-MM.
        currency: Of its lines.
    """

    provider: str
    account: str
    month: str
    currency: str


@dataclass
class BillReport:
    """What a load did.

    Attributes:
        files: Number of files that were read.
        lines: Number of lines, by period.
        warnings: What was left out, and why.
        seconds: From the first file to the published tables.
    """

    files: int = 0
    lines: Counter[Period] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, rows: pa.Table) -> None:
        """Add the lines of a batch."""
        names = ["provider", "billing_account", "billing_period", "currency"]
        grouped = rows.select([*names, "cost"]).group_by(names, use_threads=False)
        for row in grouped.aggregate([("cost", "count")]).to_pylist():
            period = Period(*(row[name] or "unknown" for name in names))
            self.lines[period] += row["cost_count"]

    def as_json(self) -> dict[str, Any]:
        """Return the object of `--json`."""
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
    """A load, ready to be run.

    Attributes:
        destination: Where the runs are, too.
        sources: Files, folders and patterns, local or in S3.
        provider: A key of `tower_etl.billing.reader.FORMATS`.
        clock: Tells the time.
        mapping: Which tag holds what.
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
            ConfigurationError: There is no file, one is not an export of that format, or there
                are no runs.
            DestinationLockedError: A sync or another load holds the destination.
            DestinationError: The disk is full, or the destination stopped answering.
            TowerEtlError: Loading failed; the periods are as they were.
        """
        started = self.clock.monotonic()
        files, warnings = list_files(self.sources)
        report = BillReport(files=len(files), warnings=warnings)
        place = self.destination
        with explained(place.title):
            place.validate()
            with place.lock(self.clock):
                place.prepare()
                self._load(files, report)
                place.publish(self.clock.now())
        report.seconds = self.clock.monotonic() - started
        return report

    def _load(self, files: Sequence[ExportFile], report: BillReport) -> None:
        place = self.destination
        with dlt_defaults(), dlt.config.values(_CONFIGURATION):
            _finish_sync(place)
            pipeline = _start_pipeline(place)
            pipeline.extract(self._make_source(files, report), loader_file_format="parquet")
            pipeline.normalize()
            with place.package_context(_MEMORY):
                pipeline.sync_schema()
                pipeline.load()
            delete_completed_packages(pipeline)

    def _make_source(self, files: Sequence[ExportFile], report: BillReport) -> DltSource:
        @dlt.source(name="bills", max_table_nesting=0)
        def bills() -> Any:  # noqa: ANN401 dlt has no type for it
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
        number = 0
        for file in files:
            self.on_file(file.name)
            with open_file(file) as path:
                batches = iter_lines(path, file.name, self.provider, self.mapping, file.period)
                for rows in batches:
                    report.count(rows)
                    yield _number(rows, number)
                    number += len(rows)


def _number(rows: pa.Table, first: int) -> pa.Table:
    """Return the rows with their numbers, and key columns that are never null."""
    numbers = pa.array(range(first, first + len(rows)), pa.int64())
    index = rows.schema.get_field_index("line_number")
    field_of = BILL_LINES.arrow_schema.field("line_number")
    return rows.set_column(index, field_of.name, numbers).cast(BILL_LINES.arrow_schema)


def _finish_sync(place: Destination) -> None:
    """Load the package that an interrupted sync left, so that no half of it is published.

    Raises:
        ConfigurationError: No sync has written to the destination: there are no runs to bill.
    """
    pipeline = place.open_pipeline()
    with place.package_context():
        reason = load_pending_packages(pipeline)
    if reason:
        place.reset()
    if pipeline.default_schema_name is None:
        msg = f"{place.title} has no runs yet: run `tower-etl sync` first, then load the bill."
        raise ConfigurationError(msg)


def _start_pipeline(place: Destination) -> dlt.Pipeline:
    """Return the pipeline of bills, without what a killed load left in its working folder."""
    pipeline = place.open_pipeline(PIPELINE)
    shutil.rmtree(pipeline.working_dir, ignore_errors=True)
    Path(pipeline.working_dir).parent.mkdir(parents=True, exist_ok=True)
    pipeline = place.open_pipeline(PIPELINE)
    with place.package_context():
        pipeline.sync_destination()
    return pipeline
