"""Tables of one run, as tests build them from the API's responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.transform import RunResponses, build_run_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


def build_run(
    detail: Mapping[str, Any],
    *,
    workspace_id: int | None,
    starred: bool | None,
    tasks: Sequence[object],
    metrics: object,
) -> dict[str, pa.Table]:
    """Build the tables of one run; the arguments are those of `RunResponses`."""
    return build_run_tables([RunResponses(detail, workspace_id, starred, tasks, metrics)])
