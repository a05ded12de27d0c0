"""dlt's PostgreSQL client, with one transaction for a package instead of one for each table.

dlt stages the rows of a package, and then merges table by table, each in a transaction of its own:
between two of them a reader sees a run without its tasks. Here the tables wait until all rows are
staged, and are merged together with the record that the package is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.sql_jobs import SqlMergeFollowupJob

from tower_etl.load.abilities import cache_capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlt.common.destination import PreparedTableSchema
    from dlt.common.destination.client import FollowupJobRequest


class SingleTransactionPostgresClient(PostgresClient):
    """Merges when a package is completed, and not before."""

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        """None: `complete_load` does it."""
        del table_chain
        return []

    def complete_load(self, load_id: str) -> None:
        """Merge all that is staged, and record the package."""
        with self.sql_client.begin_transaction():
            for table in list(self._iter_staged()):
                for statement in SqlMergeFollowupJob.generate_sql([table], self.sql_client):
                    self.sql_client.execute_sql(statement)
            super().complete_load(load_id)

    def _iter_staged(self) -> Iterator[PreparedTableSchema]:
        """The tables with rows in the staging schema.

        Rows that an earlier package left there are the newest of their keys still: a package that
        has newer ones empties the table first. Merging them again changes nothing.
        """
        for name in self.schema.data_table_names(seen_data_only=True):
            table = self.prepare_load_table(name)
            if table["write_disposition"] == "merge" and self._has_staged(name):
                yield table

    def _has_staged(self, name: str) -> bool:
        with self.sql_client.with_staging_dataset():
            staged = self.sql_client.make_qualified_table_name(name)
        found: Any = self.sql_client.execute_sql(f"SELECT EXISTS (SELECT FROM {staged})")  # noqa: S608 ours
        return bool(found[0][0])


class SingleTransactionPostgres(dlt.destinations.postgres):
    """The destination with that client."""

    capabilities = cache_capabilities(dlt.destinations.postgres.capabilities)

    @property
    def client_class(self) -> type[SingleTransactionPostgresClient]:
        """The client."""
        return SingleTransactionPostgresClient
