-- Grain: executor, compute environment and queue. Units: minutes, hours.
WITH source AS (
  SELECT
    t.executor,
    coalesce(t.compute_env, r.compute_env, t.queue) AS compute_env,
    t.queue,
    t.wait_seconds
  FROM stg_tasks AS t
  INNER JOIN stg_runs AS r ON r.run_id = t.run_id
  WHERE t.wait_seconds IS NOT NULL
)

SELECT
  executor,
  compute_env,
  queue,
  count(*) AS tasks,
  round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_seconds) / 60, 2) AS median_minutes,
  round(percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds) / 60, 2) AS p95_minutes,
  round(max(wait_seconds) / 60, 2) AS longest_minutes,
  round(sum(wait_seconds) / 3600, 2) AS waited_hours
FROM source
GROUP BY executor, compute_env, queue
ORDER BY waited_hours DESC, executor, compute_env, queue
