-- What attempts cost that had to be made again.
-- Grain: process. Units: USD, hours. The attempts of a task are found by run, name and number: the
-- first failed attempt of a name goes with its first second attempt, and so on. All attempts of a
-- task but its last are waste; a failure that was not tried again is none.
WITH tried AS (
  SELECT
    run_id, process, name, attempt, status, cost_usd, cpu_hours,
    row_number() OVER (
      PARTITION BY run_id, process, name, attempt
      ORDER BY CASE WHEN error_action = 'RETRY' THEN 0 ELSE 1 END, submitted_at, task_id
    ) AS place
  FROM stg_tasks
  WHERE NOT cached AND (attempt > 1 OR status = 'FAILED')
),

numbered AS (
  SELECT
    run_id, process, name, place, attempt, status, cost_usd, cpu_hours,
    max(attempt) OVER (PARTITION BY run_id, process, name, place) AS last_attempt
  FROM tried
),

grouped AS (
  SELECT
    run_id, process, name, place,
    count(*) AS attempts,
    count(CASE WHEN attempt = last_attempt AND status = 'COMPLETED' THEN 1 END) AS recovered,
    sum(CASE WHEN attempt < last_attempt THEN cost_usd END) AS wasted_usd,
    sum(CASE WHEN attempt < last_attempt THEN cpu_hours END) AS wasted_cpu_hours
  FROM numbered
  WHERE last_attempt > 1
  GROUP BY run_id, process, name, place
)

SELECT
  process,
  count(*) AS retried_tasks,
  CAST(sum(attempts) AS BIGINT) AS attempts,
  CAST(sum(recovered) AS BIGINT) AS recovered_tasks,
  round(sum(wasted_cpu_hours), 2) AS wasted_cpu_hours,
  round(sum(wasted_usd), 6) AS wasted_usd
FROM grouped
GROUP BY process
ORDER BY wasted_usd DESC NULLS LAST, process
