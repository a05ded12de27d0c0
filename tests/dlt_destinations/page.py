"""Write the documentation's table of dlt destinations: `python -m tests.dlt_destinations.page`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dlt
from dlt.common.destination import Destination

from tests.dlt_destinations.kinds import KINDS, REFUSED
from tower_etl.errors import ConfigurationError
from tower_etl.source.dispositions import choose_disposition

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "destinations.md"
START, END = "<!-- made by tests.dlt_destinations.page -->", "<!-- end -->"
_HEADER = (
    "| destination | merge | what differs | tried |",
    "|---|---|---|---|",
)
_FORMATS = {"athena": "iceberg"}
_SERVICE = "no: a managed service"
_VECTORS = "refused: upserts by its own keys"
UNTRIED = {
    "athena": _SERVICE,
    "bigquery": _SERVICE,
    "clickhouse": "no: Debian's version of 2018 does not support the `DELETE` that dlt sends",
    "databricks": _SERVICE,
    "dremio": "no: no server in a package registry",
    "dummy": "no: it stores nothing",
    "fabric": _SERVICE,
    "lance": _VECTORS,
    "lancedb": _VECTORS,
    "motherduck": _SERVICE,
    "mssql": "no: no server in a package registry",
    "qdrant": _VECTORS,
    "redshift": _SERVICE,
    "snowflake": _SERVICE,
    "synapse": _SERVICE,
    "weaviate": _VECTORS,
}


def list_destinations() -> set[str]:
    """Return the names of dlt's destinations, without the decorator for custom destinations."""
    found = vars(dlt.destinations).items()
    made = {name for name, one in found if isinstance(one, type) and issubclass(one, Destination)}
    return made - {"destination"}


def render() -> str:
    """Return the table between its markers."""
    return "\n".join([START, "", *_HEADER, *_iter_rows(), "", END])


def _iter_rows() -> Iterator[str]:
    for kind in KINDS.values():
        merge = _explain_merge(kind.name, kind.options.get("table_format"))
        yield _row(kind.key, merge, kind.differs or "nothing", "yes")
    for kind in REFUSED.values():
        differs = 'with `write_disposition="append"` each version of a row is kept'
        yield _row(kind.key, _explain_merge(kind.name, None), differs, "yes")
    for name, tried in UNTRIED.items():
        table_format = _FORMATS.get(name)
        key = f"{name} {table_format}" if table_format else name
        yield _row(key, _explain_merge(name, table_format), "", tried)


def _row(*cells: str) -> str:
    first, *rest = cells
    name, _, variant = first.partition(" ")
    return f"| {' | '.join([f'`{name}` {variant}'.strip(), *rest])} |"


def _explain_merge(name: str, table_format: str | None) -> str:
    capabilities = getattr(dlt.destinations, name)().capabilities()
    try:
        chosen = choose_disposition(capabilities, table_format)
    except ConfigurationError:
        return "refused"
    return str(chosen["strategy"]) if isinstance(chosen, dict) else str(chosen)


def update(page: str) -> str:
    """Return the page with an up-to-date table."""
    before, rest = page.split(START)
    return before + render() + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(update(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
