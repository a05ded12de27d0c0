-- How long tasks wait between submission and start.
-- Grain: executor and queue. Units: minutes, hours. CACHED tasks did not wait.
SELECT
  executor,
  queue,
  count(*) AS tasks,
  round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_seconds) / 60, 2) AS median_minutes,
  round(percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds) / 60, 2) AS p95_minutes,
  round(max(wait_seconds) / 60, 2) AS longest_minutes,
  round(sum(wait_seconds) / 3600, 2) AS waited_hours
FROM stg_tasks
WHERE wait_seconds IS NOT NULL
GROUP BY executor, queue
ORDER BY waited_hours DESC, executor, queue
