-- Grain: sync. Units: seconds, calls, runs; times are UTC.
SELECT
  id AS sync_id,
  started_at,
  finished_at,
  seconds,
  status,
  endpoint,
  calls,
  retries,
  runs_listed,
  runs_fetched,
  coalesce(reconciled, FALSE) AS reconciled
FROM sync_runs
