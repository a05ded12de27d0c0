-- Grain: sync; filters of runs have no effect. Units: seconds, calls, runs; times are UTC.
SELECT
  sync_id,
  started_at,
  finished_at,
  seconds,
  status,
  endpoint,
  calls,
  retries,
  runs_listed,
  runs_fetched,
  reconciled
FROM stg_syncs
ORDER BY started_at DESC NULLS LAST, sync_id
