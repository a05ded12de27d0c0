-- Tasks of runs that ended, with what two groups of runs are compared by.
-- Grain: attempt of a task, without CACHED ones. Units: seconds, hours, USD. `sample` is the tag, or
-- the name where a task has none. The bill is null where it has no lines for the task.
WITH billed AS (
  SELECT run_id, task_id, sum(cost) AS bill_usd
  FROM stg_bill_shares
  WHERE task_id IS NOT NULL
  GROUP BY run_id, task_id
),

clocked AS (
  SELECT
    t.run_id,
    t.task_id,
    r.pipeline,
    t.process,
    coalesce(t.tag, t.name, '') AS sample,
    t.status,
    t.attempt,
    t.wait_seconds,
    t.run_seconds,
    CAST(epoch_ms(t.ended_at) - epoch_ms(t.started_at) AS DOUBLE) / 1000 AS ran_seconds,
    t.cpus,
    t.cost_usd,
    b.bill_usd
  FROM stg_tasks AS t
  INNER JOIN stg_runs AS r ON r.run_id = t.run_id
  LEFT JOIN billed AS b ON b.run_id = t.run_id AND b.task_id = t.task_id
  WHERE NOT t.cached AND r.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
)

SELECT
  run_id,
  task_id,
  pipeline,
  process,
  sample,
  status,
  attempt,
  wait_seconds,
  greatest(ran_seconds - run_seconds, 0) AS staged_seconds,
  run_seconds,
  cpus * ran_seconds / 3600 AS cpu_hours,
  cost_usd AS platform_usd,
  bill_usd
FROM clocked
