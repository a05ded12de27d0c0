-- Grain: run. Units: USD, percent; times are UTC.
WITH estimated AS (
  SELECT run_id, sum(CASE WHEN currency = 'USD' THEN cost_usd END) AS cost_usd
  FROM stg_run_spend
  GROUP BY run_id
),

billed AS (
  SELECT
    run_id,
    sum(used_cost) AS used_usd,
    sum(unused_cost) AS unused_usd,
    sum(cost) AS bill_usd,
    count(task_id) AS task_lines,
    CASE WHEN min(method) = max(method) THEN min(method) ELSE 'mixed' END AS method
  FROM stg_bill_shares
  WHERE run_id IS NOT NULL
  GROUP BY run_id
),

matched AS (
  SELECT DISTINCT run_id, task_id
  FROM stg_bill_shares
  WHERE task_id IS NOT NULL
),

counted AS (
  SELECT t.run_id, count(*) AS tasks, count(m.task_id) AS billed_tasks
  FROM stg_tasks AS t
  LEFT JOIN matched AS m ON m.run_id = t.run_id AND m.task_id = t.task_id
  WHERE t.status = 'COMPLETED'
  GROUP BY t.run_id
)

SELECT
  s.run_id,
  r.run_name,
  s.pipeline,
  s.revision,
  s.user_name,
  s.workspace,
  r.submitted_at,
  'USD' AS currency,
  CASE WHEN b.run_id IS NOT NULL THEN 'bill' ELSE s.cost_source END AS cost_source,
  round(e.cost_usd, 6) AS platform_usd,
  round(b.used_usd, 6) AS used_usd,
  round(b.unused_usd, 6) AS unused_usd,
  round(b.bill_usd, 6) AS bill_usd,
  round(b.bill_usd / nullif(e.cost_usd, 0), 4) AS ratio,
  round(
    CASE
      WHEN b.run_id IS NULL THEN 0
      WHEN b.task_lines > 0 THEN 100.0 * c.billed_tasks / c.tasks
    END, 2
  ) AS coverage,
  b.method
FROM stg_run_spend AS s
INNER JOIN stg_runs AS r ON r.run_id = s.run_id
INNER JOIN estimated AS e ON e.run_id = s.run_id
LEFT JOIN billed AS b ON b.run_id = s.run_id
LEFT JOIN counted AS c ON c.run_id = s.run_id
WHERE s.is_first
ORDER BY r.submitted_at DESC NULLS LAST, s.run_id
