"""dlt resources that carry the batches of a session.

`tower_source` has a resource per table, all fed by one extraction. The command line has a single
resource.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow.compute as pc

from tower_etl.config.settings import PackageLimits
from tower_etl.extract.destination_state import DestinationState, find_pipeline
from tower_etl.schema import REMOVED
from tower_etl.source.adaptation import adapt_resources
from tower_etl.source.dispositions import prepare_upserts
from tower_etl.source.extraction import read_extraction, recreate_missing_tables
from tower_etl.source.packages import CURRENT_SYNC, PackagedSync
from tower_etl.source.pending import (
    check_second_source,
    record_extracted,
    reset_coverage,
    reset_other_dataset,
    select_compared_tables,
    select_history_tables,
)
from tower_etl.source.sharing import check_shared_dataset
from tower_etl.source.table_resource import is_in_pipeline, table_hints, table_resource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping

    import pyarrow as pa
    from dlt.common.schema import Schema
    from dlt.common.schema.typing import TTableSchema
    from dlt.extract import DltResource, DltSource

    from tower_etl.extract.session import SyncSession
    from tower_etl.schema import TableSpec
    from tower_etl.source.extraction import Extraction


class HideExpectedHintWarning(logging.Filter):
    """Logging filter for dlt's warning that JSON columns are text in Arrow, which is intended."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is another message."""
        return "when merging arrow schema with dlt schema" not in str(record.msg)


EXPECTED_HINTS = HideExpectedHintWarning()
_UNLIMITED = PackageLimits(max_rows=2**63, max_seconds=float("inf"))  # without `run_in_packages`


@dataclass(frozen=True)
class _Package:
    """Package that is being extracted.

    Attributes:
        state: dlt's state of the source, empty without a pipeline.
        destination_state: State of the destination.
        extraction: dlt's options of the extraction.
        upserted: Tables whose rows are prepared for an upsert.
        missing: Tables that are missing in the destination.
    """

    state: MutableMapping[str, Any]
    destination_state: DestinationState
    extraction: Extraction
    upserted: tuple[TableSpec, ...]
    missing: frozenset[str]


@dataclass(frozen=True)
class TableFeed:
    """Feed of the tables of a source from one session.

    Attributes:
        open_session: Function that opens the session for the first package.
        tables: Tables by name.
        on_complete: Function called after the last package; an exception fails that package.
    """

    open_session: Callable[[Extraction], SyncSession]
    tables: Mapping[str, TableSpec]
    on_complete: Callable[[SyncSession], None]

    def make_resources(
        self, selected: Collection[str], *, yield_rows: bool
    ) -> Iterator[DltResource]:
        """Yield one resource per table; all of them are fed by one extraction.

        Args:
            selected: Names of the tables that are selected by default.
            yield_rows: Whether resources yield rows, instead of Arrow tables.
        """
        logging.getLogger("dlt").addFilter(EXPECTED_HINTS)

        @dlt.resource(name="batches", selected=False)
        def batches() -> Iterator[dict[str, pa.Table]]:
            yield from self.iter_batches()

        for table in self.tables.values():
            yield table_resource(
                table, batches, selected=table.name in selected, yield_rows=yield_rows
            )

    def iter_batches(self) -> Iterator[dict[str, pa.Table]]:
        """Yield the rows of the next package by table; without packages, all rows."""
        sync = CURRENT_SYNC.get() or PackagedSync(_UNLIMITED)
        package = self._begin_package(sync)
        session = self._find_session(sync, package)
        try:
            yield self._list_new_tables(package)
            batches = session.extract_package(package.state, package.destination_state, sync.limits)
            for batch in prepare_upserts(batches, package.upserted, package.destination_state):
                yield _drop_tombstones(batch, package.extraction.unmerged)
            if package.destination_state.has_pending_rows:
                reset_coverage(package.state, select_compared_tables(package.extraction.tables))
            if session.is_done:
                session.close()
                self.on_complete(session)
        except BaseException:
            session.close()
            raise

    def _begin_package(self, sync: PackagedSync) -> _Package:
        """Read dlt's options of this extraction, and check and adapt the resources for them."""
        has_pipeline, schema = is_in_pipeline(), dlt.current.source_schema()
        # Without a pipeline, dlt would return the state of any pipeline that ran before.
        pipeline = find_pipeline() if has_pipeline else None
        state = dlt.current.source_state() if has_pipeline else {}
        if pipeline:
            reset_other_dataset(state, pipeline)
        destination_state = DestinationState(pipeline, schema.name)
        extraction = read_extraction(self.tables, destination_state.client)
        upserted = adapt_resources(
            extraction.source, pipeline, destination_state.client, self.tables.values()
        )
        extracted = record_extracted(extraction.tables)
        check_second_source(extracted, extraction.only_replaced | {t.name for t in upserted})
        destination_state.has_pending_rows = bool(
            extracted or (pipeline and pipeline.has_pending_data)
        )
        missing = frozenset[str]()
        if pipeline and sync.session is None:
            # Without pending rows, the state describes a dataset that is no longer there.
            has_state = not (pipeline.first_run and destination_state.has_pending_rows)
            names = extraction.tables - extracted
            missing = recreate_missing_tables(destination_state, state, names, has_state=has_state)
        if pipeline and schema.name not in pipeline.schemas:
            _restore_schema(schema, destination_state)
        return _Package(state, destination_state, extraction, upserted, missing)

    def _find_session(self, sync: PackagedSync, package: _Package) -> SyncSession:
        """Return the session of the sync, which the first package opens."""
        extraction, destination_state = package.extraction, package.destination_state
        sync.check_emptied(extraction.emptied)
        if sync.session is None:
            tables = extraction.tables
            postponed = (
                select_history_tables(tables) if destination_state.has_pending_rows else frozenset()
            )
            sync.session = self.open_session(replace(extraction, tables=tables - postponed))
        destination_state.empty(extraction.emptied | package.missing)
        # dlt does not reset the state if the disposition is a mapping
        reset_coverage(package.state, extraction.emptied)
        return sync.session

    def _list_new_tables(self, package: _Package) -> dict[str, pa.Table]:
        """Return empty tables for those that are missing or incomplete in the destination."""
        declared = dlt.current.source_schema().tables
        new = {
            name
            for name, table in self.tables.items()
            if not _has_columns(declared.get(name), table.arrow_schema.names)
        }
        return {
            name: self.tables[name].arrow_schema.empty_table()
            for name in package.extraction.tables & (new | package.missing)
        }


def _restore_schema(schema: Schema, destination_state: DestinationState) -> None:
    """Add the stored tables to the schema of the source, if dlt has not restored them.

    Without them, the next stored schema would lack the tables that are not selected.
    """
    if destination_state.schema:
        schema.update_schema(destination_state.schema)


def build_source(
    session: SyncSession, tables: Mapping[str, TableSpec], limits: PackageLimits
) -> DltSource:
    """Return a source that yields the next package of a session.

    It has one resource for all tables, because each resource costs CPU time in each package. A
    table's hints come with its first rows.

    Args:
        session: Session with its selected tables.
        tables: Selected tables by name.
        limits: Limits of the package.
    """

    @dlt.resource(name="history")  # the name is in the stored schemas of earlier targets
    def history() -> Iterator[Any]:
        declared = set[str]()
        for batch in _iter_package(session, tables, limits):
            for name, rows in batch.items():
                if name in declared:
                    yield dlt.mark.with_table_name(rows, name)
                    continue
                declared.add(name)
                hints = dlt.mark.make_hints(table_name=name, **table_hints(tables[name]))
                yield dlt.mark.with_hints(rows, hints, create_table_variant=True)

    @dlt.source(name="tower", section="tower_etl", max_table_nesting=0, root_key=False)
    def tower() -> DltResource:
        return history

    logging.getLogger("dlt").addFilter(EXPECTED_HINTS)
    return tower()


def _iter_package(
    session: SyncSession, tables: Mapping[str, TableSpec], limits: PackageLimits
) -> Iterator[dict[str, pa.Table]]:
    """Yield the batches of the next package, and empty tables for those that were dropped."""
    state, pipeline = dlt.current.source_state(), find_pipeline()
    destination_state = DestinationState(pipeline, dlt.current.source_schema().name)
    if pipeline and destination_state.client and not session.has_started:
        check_shared_dataset(pipeline, destination_state.client, dlt.current.source_schema().name)
        has_state = not pipeline.first_run
        missing = recreate_missing_tables(destination_state, state, tables, has_state=has_state)
        destination_state.empty(missing)
        yield {name: tables[name].arrow_schema.empty_table() for name in missing}
    yield from session.extract_package(state, destination_state, limits)


def _drop_tombstones(batch: dict[str, pa.Table], unmerged: frozenset[str]) -> dict[str, pa.Table]:
    """Remove tombstones from tables that are not merged, because only a merge applies them."""
    names = [name for name in unmerged & batch.keys() if REMOVED in batch[name].schema.names]
    live = {name: batch[name].filter(pc.invert(batch[name][REMOVED])) for name in names}
    return {**batch, **live}


def _has_columns(table: TTableSchema | None, names: Collection[str]) -> bool:
    """Return whether dlt knows all of some columns by data, not only by hints."""
    columns = table.get("columns", {}) if table else {}
    return all("data_type" in columns.get(name, {}) for name in names)
