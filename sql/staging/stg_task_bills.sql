-- Grain: task, in runs that a bill has lines of. Units: USD.
WITH billed AS (
  SELECT
    run_id,
    sum(CASE WHEN task_id IS NULL THEN cost ELSE 0 END) AS shared_cost
  FROM stg_bill_shares
  WHERE run_id IS NOT NULL
  GROUP BY run_id
),

own AS (
  SELECT run_id, task_id, sum(cost) AS cost
  FROM stg_bill_shares
  WHERE task_id IS NOT NULL
  GROUP BY run_id, task_id
),

weighed AS (
  SELECT
    run_id,
    task_id,
    CASE WHEN status = 'CACHED' THEN 0 ELSE 1 END AS ran,
    CASE WHEN status = 'CACHED' THEN 0 ELSE coalesce(cost_usd, 0) END AS cost_usd
  FROM stg_task_records
),

summed AS (
  SELECT
    w.*,
    sum(w.ran) OVER (PARTITION BY w.run_id) AS run_tasks,
    sum(w.cost_usd) OVER (PARTITION BY w.run_id) AS run_cost_usd
  FROM weighed AS w
)

SELECT
  s.run_id,
  s.task_id,
  coalesce(o.cost, 0)
    + b.shared_cost
    * CASE
      WHEN s.run_cost_usd > 0 THEN s.cost_usd / s.run_cost_usd
      ELSE coalesce(CAST(s.ran AS DOUBLE) / nullif(s.run_tasks, 0), 0)
    END AS cost_usd
FROM summed AS s
INNER JOIN billed AS b ON b.run_id = s.run_id
LEFT JOIN own AS o ON o.run_id = s.run_id AND o.task_id = s.task_id
