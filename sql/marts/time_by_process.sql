-- Grain: process. Units: hours, summed over tasks; `staged_share` is of the time from start to
-- end.
WITH summed AS (
  SELECT
    t.process,
    count(*) AS tasks,
    count(DISTINCT t.run_id) AS runs,
    sum(t.wait_seconds) / 3600 AS wait_hours,
    sum(t.ran_seconds) / 3600 AS ran_hours,
    sum(t.staged_seconds) / 3600 AS staged_hours,
    sum(t.run_seconds) / 3600 AS run_hours,
    sum(CASE WHEN a.retried THEN t.ran_seconds ELSE 0 END) / 3600 AS retried_hours,
    sum(CASE WHEN a.retried THEN 0 ELSE t.staged_seconds END) / 3600 AS kept_staged_hours,
    sum(CASE WHEN a.retried THEN 0 ELSE t.run_seconds END) / 3600 AS kept_run_hours
  FROM stg_tasks AS t
  LEFT JOIN stg_attempts AS a ON a.run_id = t.run_id AND a.task_id = t.task_id
  WHERE NOT t.cached
  GROUP BY t.process
)

SELECT
  process,
  tasks,
  runs,
  round(wait_hours, 4) AS wait_hours,
  round(ran_hours, 4) AS ran_hours,
  round(staged_hours, 4) AS staged_hours,
  round(run_hours, 4) AS run_hours,
  round(retried_hours, 4) AS retried_hours,
  round(kept_staged_hours, 4) AS kept_staged_hours,
  round(kept_run_hours, 4) AS kept_run_hours,
  round(staged_hours / nullif(ran_hours, 0), 4) AS staged_share
FROM summed
ORDER BY ran_hours DESC NULLS LAST, process
