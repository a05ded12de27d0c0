-- Hours equal those of `run_costs`, and kept and retried hours add up to staged and run hours.
SELECT t.run_id
FROM time_by_run AS t
INNER JOIN (
  SELECT
    run_id, sum(wait_hours) AS wait_hours, sum(run_hours) AS run_hours,
    sum(staged_hours) AS staged_hours
  FROM run_costs
  GROUP BY run_id
) AS r ON r.run_id = t.run_id
WHERE abs(coalesce(t.wait_hours, 0) - coalesce(r.wait_hours, 0)) > 0.0002
  OR abs(coalesce(t.run_hours, 0) - coalesce(r.run_hours, 0)) > 0.0002
  OR abs(coalesce(t.staged_hours, 0) - coalesce(r.staged_hours, 0)) > 0.0002
  OR t.kept_run_hours > t.run_hours + 0.0002
  OR t.kept_staged_hours > t.staged_hours + 0.0002
