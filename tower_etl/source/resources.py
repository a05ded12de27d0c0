"""A session as dlt resources: one per table, all fed by one walk through the history."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.destination.capabilities import adjust_schema_to_capabilities
from dlt.common.libs.pyarrow import py_arrow_to_table_schema_columns
from dlt.common.schema.utils import merge_columns

from tower_etl.source.adaptation import adapt_resources
from tower_etl.source.dispositions import DEFAULT
from tower_etl.source.stored import PipelineStore, find_pipeline
from tower_etl.source.upserts import prepare_upserts
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa
    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.schema.typing import TTableSchema
    from dlt.extract import DltResource, DltSource

    from tower_etl.settings import Packages
    from tower_etl.source.session import Session
    from tower_etl.tables import Table


class ExpectedHints(logging.Filter):
    """Drops dlt's warning that our JSON columns are text in Arrow, which is as it should be."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is anything else."""
        return "when merging arrow schema with dlt schema" not in str(record.msg)


EXPECTED_HINTS = ExpectedHints()


def _ignore(_session: Session) -> None:
    """Whoever runs the session looks at its outcome."""


def package_source(
    open_lazily: Callable[[], Session],
    tables: Mapping[str, Table],
    limits: Packages,
    on_end: Callable[[Session], None] = _ignore,
    *,
    whole: bool = False,
) -> DltSource:
    """The next package of a session, as a dlt source.

    Args:
        open_lazily: Gives the session when the package is extracted, not before.
        tables: The tables wanted, by name.
        limits: When the package is full.
        on_end: Called after the last package; what it raises fails that package.
        whole: Whether to hand out every table once to a new target, if only without rows: for a
            pipeline that is run as usual, which makes no other tables.
    """
    logging.getLogger("dlt").addFilter(EXPECTED_HINTS)

    @dlt.source(name="tower", section="tower_etl", max_table_nesting=0)
    def tower() -> Iterator[DltResource]:
        @dlt.resource(name="history", selected=False)
        def history() -> Iterator[dict[str, pa.Table]]:
            pipeline, state = find_pipeline(), dlt.current.source_state()
            source, store = dlt.current.source(), PipelineStore(pipeline)
            upserted = adapt_resources(source, pipeline, store.client, tables.values())
            session = open_lazily()
            try:
                if whole and state.get("tables") != sorted(TABLES):
                    yield {name: table.arrow_schema.empty_table() for name, table in tables.items()}
                package = session.iter_package(state, store, limits)
                yield from prepare_upserts(package, upserted, store)
                if session.is_done:
                    session.close()
                    on_end(session)
            except BaseException:
                session.close()
                raise

        yield history
        for table in tables.values():
            yield table_resource(table, history)

    return tower()


def find_dialect() -> str:
    """Return the SQL dialect of the destination of the pipeline that runs; empty for none."""
    pipeline = find_pipeline()
    destination = pipeline.destination if pipeline else None
    return destination.capabilities().sqlglot_dialect or "" if destination else ""


def table_resource(table: Table, history: DltResource) -> DltResource:
    """The resource of one table: its rows out of each batch, with its keys and descriptions."""

    def pick(batch: dict[str, pa.Table]) -> Iterator[pa.Table]:
        if table.name in batch:
            yield batch[table.name]

    hints = dlt.transformer(data_from=history, name=table.name, **make_hints(table))
    return hints(pick)


def make_hints(table: Table) -> dict[str, Any]:
    """What dlt needs to know of a table: keys, JSON columns, descriptions.

    How rows are merged is decided when the destination is known (`adapt_resources`). Where the
    rows of a run are replaced as a whole, those of the run go as well.
    """
    replaced = {"merge_key": table.replaced_by} if table.replaced_by else {}
    columns = {
        column.name: {"description": column.description}
        | ({"data_type": "json"} if column.is_json else {})
        | ({"hard_delete": True} if column.name == "_removed" else {})
        for column in table.columns
    }
    return {
        "write_disposition": DEFAULT,
        "columns": columns,
        "primary_key": table.key,
        **replaced,
    }


def describe_table(
    resource: DltResource, table: Table, caps: DestinationCapabilitiesContext
) -> TTableSchema:
    """A table as dlt describes it once it has seen rows of it.

    Args:
        resource: Of the table.
        table: Its columns.
        caps: What the destination can hold.
    """
    found = py_arrow_to_table_schema_columns(table.arrow_schema)
    hinted = resource.compute_table_schema()
    columns = merge_columns(adjust_schema_to_capabilities(found, caps), hinted["columns"])
    return {**hinted, "columns": columns}
