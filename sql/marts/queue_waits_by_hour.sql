-- Grain: compute environment, weekday and hour of the day (UTC) in which tasks were submitted.
-- Units: minutes, hours; `weekday` is 1 for Monday to 7.
WITH source AS (
  SELECT
    coalesce(t.compute_env, r.compute_env, t.queue) AS compute_env,
    (epoch_ms(t.submitted_at) // 86400000 + 3) % 7 + 1 AS weekday,
    epoch_ms(t.submitted_at) // 3600000 % 24 AS hour_of_day,
    t.wait_seconds
  FROM stg_tasks AS t
  INNER JOIN stg_runs AS r ON r.run_id = t.run_id
  WHERE t.wait_seconds IS NOT NULL
)

SELECT
  compute_env,
  weekday,
  hour_of_day,
  count(*) AS tasks,
  round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_seconds) / 60, 2) AS median_minutes,
  round(percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds) / 60, 2) AS p95_minutes,
  round(sum(wait_seconds) / 3600, 2) AS waited_hours
FROM source
GROUP BY compute_env, weekday, hour_of_day
ORDER BY compute_env, weekday, hour_of_day
