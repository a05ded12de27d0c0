-- The hours of all processes equal those of all runs.
SELECT p.hours, r.hours AS run_hours
FROM (
  SELECT coalesce(sum(run_hours), 0) AS hours, coalesce(sum(staged_hours), 0) AS staged, count(*) AS n
  FROM time_by_process
) AS p
CROSS JOIN (
  SELECT coalesce(sum(run_hours), 0) AS hours, coalesce(sum(staged_hours), 0) AS staged, count(*) AS n
  FROM time_by_run
) AS r
WHERE abs(p.hours - r.hours) > 0.0002 * (p.n + r.n)
  OR abs(p.staged - r.staged) > 0.0002 * (p.n + r.n)
