"""dlt resources of a session: one per table, all fed by one extraction of the history."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow.compute as pc
from dlt.common.destination.capabilities import adjust_schema_to_capabilities
from dlt.common.libs.pyarrow import py_arrow_to_table_schema_columns
from dlt.common.schema.utils import merge_columns

from tower_etl.config.settings import PackageLimits
from tower_etl.extract.destination_state import DestinationState, find_pipeline
from tower_etl.schema import REMOVED
from tower_etl.source.dialects import adapt_resources
from tower_etl.source.dispositions import DEFAULT, prepare_upserts
from tower_etl.source.extraction import (
    RowsToArrow,
    TableResource,
    drop_missing_tables,
    is_in_pipeline,
    read_extraction,
)
from tower_etl.source.packages import CURRENT_RUN, PackageRun
from tower_etl.source.pending import (
    list_incomplete,
    list_postponed,
    record_extracted,
    refuse_second_source,
    reset_coverage,
    reset_other_dataset,
)
from tower_etl.source.sharing import refuse_shared_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import pyarrow as pa
    from dlt.common.destination import DestinationCapabilitiesContext
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

        @dlt.resource(name="history", selected=False)
        def history() -> Iterator[dict[str, pa.Table]]:
            yield from self.iter_batches()

        for table in self.tables.values():
            yield table_resource(
                table, history, selected=table.name in selected, yield_rows=yield_rows
            )

    def iter_batches(self) -> Iterator[dict[str, pa.Table]]:
        """Yield the rows of the next package by table; without packages, all rows."""
        # Without a pipeline, dlt would return the state of any pipeline that ran before.
        is_loaded = is_in_pipeline()
        pipeline = find_pipeline() if is_loaded else None
        state = dlt.current.source_state() if is_loaded else {}
        schema_name = dlt.current.source_schema().name
        if pipeline:
            reset_other_dataset(state, pipeline)
        store = DestinationState(pipeline, schema_name)
        extraction = read_extraction(self.tables, store.client)
        upserted = adapt_resources(extraction.source, pipeline, store.client, self.tables.values())
        extracted = record_extracted(extraction.tables)
        refuse_second_source(extracted, extraction.only_replaced | {t.name for t in upserted})
        store.has_pending_rows = bool(extracted or (pipeline and pipeline.has_pending_data))
        postponed = list_postponed(extraction.tables) if store.has_pending_rows else frozenset()
        run = CURRENT_RUN.get() or PackageRun(_UNLIMITED)
        names = extraction.tables - extracted if run.session is None else frozenset[str]()
        # Without pending rows, the coverage in the state is of a dataset that is no longer there.
        must_exist = pipeline is not None and not (pipeline.first_run and store.has_pending_rows)
        missing = drop_missing_tables(
            store.client, store.schema, state, names, must_exist=must_exist
        )
        if pipeline and store.schema and schema_name not in pipeline.schemas:
            # Not restored by dlt, whose next schema would lack the tables that are not selected.
            dlt.current.source_schema().update_schema(store.schema)
        run.refuse_emptied(extraction.emptied)
        session = run.session = run.session or self.open_session(extraction.without(postponed))
        store.empty(extraction.emptied | missing)
        # dlt does not reset the state if the disposition is a mapping
        reset_coverage(state, extraction.emptied)
        try:
            yield self._list_new_tables(extraction, missing)
            package = session.extract_package(state, store, run.limits)
            prepared = prepare_upserts(package, upserted, store)
            yield from (_drop_tombstones(batch, extraction.unmerged) for batch in prepared)
            if store.has_pending_rows:
                reset_coverage(state, list_incomplete(extraction.tables))
            if session.is_done:
                session.close()
                self.on_complete(session)
        except BaseException:
            session.close()
            raise

    def _list_new_tables(
        self, extraction: Extraction, missing: frozenset[str]
    ) -> dict[str, pa.Table]:
        """Return empty tables for those that are missing or incomplete in the destination."""
        known = dlt.current.source_schema().tables
        new = {
            name
            for name, table in self.tables.items()
            if not _has_columns(known.get(name), table.arrow_schema.names)
        }
        return {
            name: self.tables[name].arrow_schema.empty_table()
            for name in extraction.tables & (new | missing)
        }


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

    @dlt.resource(name="history")
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
    store = DestinationState(pipeline, dlt.current.source_schema().name)
    if pipeline and store.client and not session.is_open:
        refuse_shared_dataset(pipeline, store.client, dlt.current.source_schema().name)
        missing = drop_missing_tables(
            store.client, store.schema, state, tables, must_exist=not pipeline.first_run
        )
        store.empty(missing)
        yield {name: tables[name].arrow_schema.empty_table() for name in missing}
    yield from session.extract_package(state, store, limits)


def _drop_tombstones(batch: dict[str, pa.Table], unmerged: frozenset[str]) -> dict[str, pa.Table]:
    """Remove tombstones from tables that are not merged, because only a merge applies them."""
    names = [name for name in unmerged & batch.keys() if REMOVED in batch[name].schema.names]
    live = {name: batch[name].filter(pc.invert(batch[name][REMOVED])) for name in names}
    return {**batch, **live}


def _has_columns(known: TTableSchema | None, names: Collection[str]) -> bool:
    """Return whether dlt knows all of some columns by data, not only by hints."""
    columns = known.get("columns", {}) if known else {}
    return all("data_type" in columns.get(name, {}) for name in names)


def table_resource(
    table: TableSpec, history: DltResource, *, selected: bool, yield_rows: bool
) -> DltResource:
    """Return the resource of one table, with its keys and column descriptions."""

    def pick(batch: dict[str, pa.Table]) -> Iterator[pa.Table | list[dict[str, Any]]]:
        if table.name in batch:
            rows = batch[table.name]
            yield rows.to_pylist() if yield_rows else rows

    make: Any = dlt.transformer  # its annotations lack `_impl_cls`
    hints = make(
        data_from=history,
        name=table.name,
        selected=selected,
        _impl_cls=TableResource,
        **table_hints(table),
    )
    resource: TableResource = hints(pick)
    resource.spec = table
    if yield_rows:
        resource.yields_rows = True
        resource.add_step(RowsToArrow(table))
    return resource


def table_hints(table: TableSpec) -> dict[str, Any]:
    """Return dlt's hints of a table: keys, JSON columns and descriptions.

    The merge strategy is set when the destination is known (`adapt_resources`). With a merge key,
    all stored rows of a run are replaced.
    """
    replaced = {"merge_key": table.merge_key} if table.merge_key else {}
    columns = {
        column.name: {"description": column.description}
        | ({"data_type": "json"} if column.is_json else {})
        | ({"hard_delete": True} if column.name == REMOVED else {})
        for column in table.columns
    }
    return {
        "write_disposition": DEFAULT,
        "columns": columns,
        "primary_key": table.key,
        **replaced,
    }


def table_schema(table: TableSpec, caps: DestinationCapabilitiesContext) -> TTableSchema:
    """Return the schema that dlt would infer from rows of a table.

    Args:
        table: Spec of the table.
        caps: Capabilities of the destination.
    """
    found = py_arrow_to_table_schema_columns(table.arrow_schema)
    resource: DltResource = dlt.resource([], name=table.name, **table_hints(table))
    hinted = resource.compute_table_schema()
    columns = merge_columns(adjust_schema_to_capabilities(found, caps), hinted["columns"])
    return {**hinted, "columns": columns}
