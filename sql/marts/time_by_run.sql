-- Grain: run. Units: hours, summed over tasks; `wall_hours` is the time of the run.
WITH summed AS (
  SELECT
    t.run_id,
    sum(t.wait_seconds) / 3600 AS wait_hours,
    sum(t.staged_seconds) / 3600 AS staged_hours,
    sum(t.run_seconds) / 3600 AS run_hours,
    sum(CASE WHEN a.retried THEN t.ran_seconds ELSE 0 END) / 3600 AS retried_hours,
    sum(CASE WHEN a.retried THEN 0 ELSE t.staged_seconds END) / 3600 AS kept_staged_hours,
    sum(CASE WHEN a.retried THEN 0 ELSE t.run_seconds END) / 3600 AS kept_run_hours
  FROM stg_tasks AS t
  LEFT JOIN stg_attempts AS a ON a.run_id = t.run_id AND a.task_id = t.task_id
  WHERE NOT t.cached
  GROUP BY t.run_id
)

SELECT
  r.run_id,
  r.run_name,
  r.pipeline,
  r.submitted_at,
  round(s.wait_hours, 4) AS wait_hours,
  round(s.staged_hours, 4) AS staged_hours,
  round(s.run_hours, 4) AS run_hours,
  round(s.retried_hours, 4) AS retried_hours,
  round(s.kept_staged_hours, 4) AS kept_staged_hours,
  round(s.kept_run_hours, 4) AS kept_run_hours,
  round(r.duration_seconds / 3600, 4) AS wall_hours
FROM stg_runs AS r
LEFT JOIN summed AS s ON s.run_id = r.run_id
ORDER BY r.submitted_at DESC NULLS LAST, r.run_id
