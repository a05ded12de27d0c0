-- A retried task has at least two attempts, recovers at most once, and every later attempt counts.
SELECT process
FROM retry_waste
WHERE attempts < retried_tasks OR recovered_tasks > retried_tasks
  OR spot_retried_tasks > retried_tasks OR spot_escalated_usd > escalated_usd + 0.000002
  OR abs(spot_wasted_usd + other_wasted_usd - wasted_usd) > 0.000003
UNION ALL
SELECT 'all'
FROM (SELECT coalesce(sum(attempts), 0) AS attempts FROM retry_waste) AS counted
CROSS JOIN (
  SELECT count(*) AS attempts
  FROM tasks
  WHERE attempt > 1 AND status IS DISTINCT FROM 'CACHED'
) AS later
WHERE counted.attempts < later.attempts
