-- Grain: attempt of a task that failed or was tried more than once. Units: cores, GiB.
WITH tried AS (
  SELECT
    run_id, task_id, process, name, attempt, status, spot_lost, cpus, requested_gib,
    row_number() OVER (
      PARTITION BY run_id, process, name, attempt
      ORDER BY CASE WHEN error_action = 'RETRY' THEN 0 ELSE 1 END, submitted_at, task_id
    ) AS place
  FROM stg_tasks
  WHERE NOT cached AND (attempt > 1 OR status = 'FAILED')
),

linked AS (
  SELECT
    run_id, task_id, process, name, place, attempt, status, spot_lost,
    max(attempt) OVER (PARTITION BY run_id, process, name, place) AS last_attempt,
    max(CASE WHEN attempt = 1 THEN cpus END)
      OVER (PARTITION BY run_id, process, name, place) AS first_cpus,
    max(CASE WHEN attempt = 1 THEN requested_gib END)
      OVER (PARTITION BY run_id, process, name, place) AS first_gib,
    lag(spot_lost) OVER (PARTITION BY run_id, process, name, place ORDER BY attempt) AS after_spot
  FROM tried
)

SELECT
  run_id,
  task_id,
  process,
  name,
  place,
  attempt,
  last_attempt,
  status,
  attempt < last_attempt AND status IS DISTINCT FROM 'COMPLETED' AS retried,
  spot_lost,
  coalesce(after_spot, FALSE) AS after_spot_loss,
  first_cpus,
  first_gib
FROM linked
