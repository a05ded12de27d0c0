-- What is listed is half as slow or dear again at least, with a history to compare with.
SELECT run_id, process
FROM regressions
WHERE earlier_runs < 8
  OR earlier_runs > 20
  OR NOT (coalesce(times_slower, 0) >= 1.49 OR coalesce(times_dearer, 0) >= 1.49)
