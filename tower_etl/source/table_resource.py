"""dlt resource of one table: its hints, its limit, and its steps for rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import dlt
import pyarrow as pa
from dlt.common.destination.capabilities import adjust_schema_to_capabilities
from dlt.common.libs.pyarrow import py_arrow_to_table_schema_columns
from dlt.common.schema.utils import merge_columns
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract import DltResource
from dlt.extract.items_transform import ItemTransform

from tower_etl.config.settings import NO_LIMIT, RunLimit
from tower_etl.errors import ConfigurationError
from tower_etl.lossless import to_json
from tower_etl.schema import REMOVED
from tower_etl.source.dispositions import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.schema.typing import TTableSchema
    from dlt.common.typing import TDataItems

    from tower_etl.schema import TableSpec

Number = TypeVar("Number", int, float)


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

    def check_hints(self) -> None:
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
