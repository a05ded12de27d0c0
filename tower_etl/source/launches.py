"""What runs were launched from: one call per launch, where the table is asked for by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tower_etl.errors import ApiError
from tower_etl.source.entities import is_refusal
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

    from tower_etl.api import TowerClient
    from tower_etl.source.parcels import Parcel
    from tower_etl.source.stored import StoredRuns

_TABLE = TABLES["launches"]
_AT_ONCE = 1000  # launches of runs that landed before the table was wanted, at each reconciliation


class Launches:
    """Knows which launches are stored or were asked for.

    Attributes:
        refusal: Why the server refused the last one that it refused, None if it refused none.
    """

    def __init__(self, client: TowerClient, store: StoredRuns) -> None:
        self._client = client
        self._store = store
        self._known = {row["id"] for row in store.read_table(_TABLE.name, ("id",))}
        self.refusal: ApiError | None = None

    def complete(self, parcel: Parcel, workspace_id: int | None) -> Parcel:
        """A run with the row of its launch, if that is new.

        Raises:
            ApiError: The call failed for good; nothing of the run is used then.
        """
        launch_id = parcel.answers.record.get("launchId")
        if not isinstance(launch_id, str) or not launch_id or launch_id in self._known:
            return parcel
        return replace(parcel, launch=self.fetch(workspace_id, launch_id))

    def fetch(self, workspace_id: int | None, launch_id: str) -> pa.Table:
        """The row of a launch; none where the server refuses it, as it does once it is deleted."""
        self._known.add(launch_id)
        try:
            found = self._client.describe_launch(workspace_id, launch_id)
        except ApiError as error:
            if not is_refusal(error):
                raise
            self.refusal = error
            return _TABLE.arrow_schema.empty_table()
        home = found.get("workspaceId") or workspace_id
        return _TABLE.batch([{**found, "id": launch_id, "workspaceId": home}])

    def list_unknown(self, workspace_ids: set[int | None]) -> list[tuple[int | None, str]]:
        """Launches that stored runs name and no row describes, some of them."""
        rows = self._store.read_table("workflows", ("workspace_id", "launch_id"))
        named = {
            row["launch_id"]: row["workspace_id"]
            for row in rows
            if row["launch_id"] and row["workspace_id"] in workspace_ids
        }
        unknown = sorted(named.keys() - self._known)[:_AT_ONCE]
        return [(named[launch_id], launch_id) for launch_id in unknown]
