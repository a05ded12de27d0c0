-- Grain: attempt of a task. Units: seconds, hours, USD.
WITH billed AS (
  SELECT run_id, task_id, sum(cost) AS bill_usd
  FROM stg_bill_shares
  WHERE task_id IS NOT NULL
  GROUP BY run_id, task_id
)

SELECT
  t.run_id,
  t.task_id,
  r.pipeline,
  t.process,
  coalesce(t.tag, t.name, '') AS sample,
  t.status,
  t.attempt,
  t.wait_seconds,
  t.staged_seconds,
  t.run_seconds,
  t.cpu_hours,
  CASE WHEN t.currency = 'USD' THEN t.cost_usd END AS platform_usd,
  b.bill_usd
FROM stg_tasks AS t
INNER JOIN stg_runs AS r ON r.run_id = t.run_id
LEFT JOIN billed AS b ON b.run_id = t.run_id AND b.task_id = t.task_id
WHERE NOT t.cached AND r.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
