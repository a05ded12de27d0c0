"""Options of the current extraction in dlt: selected tables, limits and refreshed tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import dlt
import pyarrow as pa
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.destinations.fs_client import FSClientBase
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.extract import DltResource
from dlt.extract.items_transform import ItemTransform

from tower_etl.config.settings import NO_LIMIT, RunLimit
from tower_etl.errors import ConfigurationError
from tower_etl.lossless import to_json
from tower_etl.source.dispositions import name_disposition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, MutableMapping
    from typing import Self

    from dlt.common.destination.client import JobClientBase
    from dlt.common.schema import Schema
    from dlt.common.schema.typing import TTableSchema
    from dlt.common.typing import TDataItems
    from dlt.extract import DltSource

    from tower_etl.schema import TableSpec


Number = TypeVar("Number", int, float)

_LISTS_TABLES = (SqlJobClientBase, FSClientBase)


class TableResource(DltResource):
    """Resource of one table. Its limit counts runs, because a run is never loaded in parts.

    Attributes:
        spec: Table of the resource.
        run_limit: Limit set by `add_limit`.
        yields_rows: Whether the resource yields rows, instead of Arrow tables.
    """

    spec: TableSpec
    run_limit: RunLimit = NO_LIMIT
    yields_rows: bool = False

    def refuse_hints(self) -> None:
        """Reject hints that would load rows into another table, or merge them by other columns.

        Raises:
            ConfigurationError: The name of the table or a key was changed.
        """
        if self.table_name != self.spec.name:
            msg = (
                f"{self.spec.name} cannot be loaded into a table of another name, because a sync "
                "reads its tables again: leave table_name and with_name out, and use another "
                "dataset_name or a view for other names."
            )
            raise ConfigurationError(msg)
        keys = {"primary_key": self.spec.key, "merge_key": self.spec.merge_key}
        for name, expected in keys.items():
            found: Any = (self._hints or {}).get(name) or ()
            if (found,) != expected and tuple(found) != expected:
                msg = (
                    f"{self.spec.name} is merged by its own columns: leave {name}={found!r} out, "
                    f"expected {expected!r}."
                )
                raise ConfigurationError(msg)

    def add_limit(
        self,
        max_items: int | None = None,
        max_time: float | None = None,
        count_rows: bool | None = False,  # noqa: FBT001, FBT002 dlt's signature
    ) -> Self:
        """Limit the number of runs that one extraction fetches; the next one continues after them.

        Args:
            max_items: Number of runs; the lowest limit of all selected tables applies. As in dlt,
                None or a negative number stands for no limit.
            max_time: Seconds after which no further run is fetched; None, 0 or a negative number
                for no limit.
            count_rows: Not supported: a run is never loaded in parts.

        Raises:
            ConfigurationError: `count_rows` is set.
        """
        if count_rows:
            msg = (
                f"{self.name}.add_limit(count_rows=True) is not supported, because a run is never "
                "loaded in parts: expected max_items as a number of runs."
            )
            raise ConfigurationError(msg)
        self.run_limit = RunLimit(_as_limit(max_items), _as_limit(max_time) or None)
        return self

    def add_filter(self, item_filter: Callable[..., bool], insert_at: Any = None) -> Self:  # noqa: ANN401 as in dlt
        """Keep the rows for which a function returns true.

        Raises:
            ConfigurationError: The resource yields Arrow tables, not rows.
        """
        if not self.yields_rows:
            msg = (
                f"{self.name} yields Arrow tables of many rows, and add_filter would keep or drop "
                "whole tables: create the source with tower_source(yield_rows=True), or filter "
                "each table with add_map(lambda table: table.filter(...))."
            )
            raise ConfigurationError(msg)
        return super().add_filter(item_filter, insert_at)

    def _clone(self, **kwargs: Any) -> Self:  # noqa: ANN401 dlt's arguments
        clone = super()._clone(**kwargs)
        clone.run_limit, clone.yields_rows = self.run_limit, self.yields_rows
        clone.spec = self.spec
        return clone


def _as_limit(value: Number | None) -> Number | None:
    return None if value is not None and value < 0 else value


class RowsToArrow(ItemTransform[Any, Any]):
    """Last step of a resource that yields rows: converts them to Arrow tables in a pipeline.

    dlt adds internal columns to rows but not to Arrow tables, and a table must not mix the two.
    """

    placement_affinity: ClassVar[float] = 0.8  # after the steps that the user adds

    def __init__(self, table: TableSpec) -> None:
        """Create the step for a table."""
        super().__init__(lambda rows: rows)
        self._schema = table.arrow_schema
        self._json = [column.name for column in table.columns if column.is_json]

    def __call__(self, item: TDataItems, meta: Any = None) -> TDataItems | None:  # noqa: ANN401 as in dlt
        """Return rows as an Arrow table, or unchanged without a pipeline."""
        del meta
        if not is_in_pipeline():
            return item
        rows = [dict(row) for row in (item if isinstance(item, list) else [item])]
        for row in rows:
            for name in self._json:
                if row.get(name) is not None and not isinstance(row[name], str):
                    row[name] = to_json(row[name])
        names = dict.fromkeys(name for row in rows for name in row)
        added = [name for name in names if name not in self._schema.names]
        columns = pa.table({name: [row.get(name) for row in rows] for name in added})
        return pa.Table.from_pylist(rows, schema=pa.schema([*self._schema, *columns.schema]))


def is_in_pipeline() -> bool:
    """Return whether a pipeline extracts the resource, instead of a plain iteration."""
    try:
        dlt.current.load_package_state()
    except CurrentLoadPackageStateNotAvailable:
        return False
    return True


@dataclass(frozen=True)
class Extraction:
    """Options of the current extraction.

    Attributes:
        source: Source that is being extracted.
        tables: Selected tables.
        emptied: Tables that the current load drops or truncates before it writes.
        unmerged: Tables whose rows are appended or replaced, not merged.
        limit: Lowest limits of all selected tables.
        dialect: SQL dialect of the destination, empty without one.
    """

    source: DltSource
    tables: frozenset[str]
    emptied: frozenset[str]
    unmerged: frozenset[str]
    limit: RunLimit
    dialect: str

    @property
    def only_replaced(self) -> frozenset[str]:
        """Tables whose rows are replaced, not appended."""
        return self.emptied & self.unmerged

    def without(self, tables: frozenset[str]) -> Self:
        """Return the options without some of the selected tables."""
        return replace(self, tables=self.tables - tables)


def read_extraction(names: Collection[str], client: JobClientBase | None) -> Extraction:
    """Return the options of the current extraction; call it from within a resource.

    Args:
        names: Names of the tables of the source.
        client: Client of the destination, None if the source is iterated without one.
    """
    source = dlt.current.source()
    selected = {name: table for name, table in source.resources.selected.items() if name in names}
    given: dict[str, Any] = {name: table.write_disposition for name, table in selected.items()}
    dispositions = {name: name_disposition(value) for name, value in given.items()}
    replaced = {name for name, disposition in dispositions.items() if disposition == "replace"}
    appended = {name for name, disposition in dispositions.items() if disposition == "append"}
    limits = [table.run_limit for table in selected.values() if isinstance(table, TableResource)]
    return Extraction(
        source,
        frozenset(selected),
        frozenset(replaced | _list_refreshed()),
        frozenset(replaced | appended),
        RunLimit(
            min((n.max_runs for n in limits if n.max_runs is not None), default=None),
            min((n.max_seconds for n in limits if n.max_seconds is not None), default=None),
        ),
        (client.capabilities.sqlglot_dialect or "") if client else "",
    )


def _list_refreshed() -> set[str]:
    """Return the tables that `refresh` drops or truncates at the start of the load."""
    if not is_in_pipeline():
        return set()
    state: Any = dlt.current.load_package_state()["state"]
    tables = [*state.get("dropped_tables", ()), *state.get("truncated_tables", ())]
    return {table["name"] for table in tables}


def _is_created(table: TTableSchema | None) -> bool:
    """Return whether dlt has created a table: columns known by hints only have no type."""
    columns = table["columns"].values() if table else ()
    return any("data_type" in column for column in columns)


def drop_missing_tables(
    client: JobClientBase | None,
    schema: Schema | None,
    state: MutableMapping[str, Any],
    names: Collection[str],
    *,
    must_exist: bool,
) -> frozenset[str]:
    """Make dlt recreate tables that were removed from the destination by other means.

    dlt does not notice that, and would insert into a missing table. The table is therefore treated
    like one that `refresh` drops: dlt recreates it, and its state is deleted.

    Args:
        client: Client of the destination, None if the source is iterated without one.
        schema: dlt's schema of earlier loads; None before the first load.
        state: State of the source; the entries of missing tables are removed.
        names: Tables that are about to be loaded.
        must_exist: Whether a dataset that is not there has been lost, or is another one.

    Returns:
        Names of the missing tables.
    """
    tables = schema.tables if schema else {}
    known = frozenset(name for name in names if _is_created(tables.get(name)))
    if not schema or not known or not isinstance(client, _LISTS_TABLES) or not is_in_pipeline():
        return frozenset()
    listing: Any = client  # dlt's file clients have the methods of its SQL clients
    with listing:
        if not listing.is_storage_initialized():
            if must_exist:
                state.pop("resources", None)
            return known if must_exist else frozenset()
        versions = schema.version_table_name
        stored = listing.get_storage_tables([versions, *known])
        found = {name for name, columns in stored if columns}
    missing = known - found
    package: Any = dlt.current.load_package_state()["state"]
    for name in sorted(missing):
        state.get("resources", {}).pop(name, None)
        if versions in found:  # without it, dlt creates all tables and must drop none
            package.setdefault("dropped_tables", []).append(schema.tables[name])
    return missing
