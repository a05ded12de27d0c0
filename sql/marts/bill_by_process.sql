-- Grain: process. Units: USD.
WITH billed_runs AS (
  SELECT DISTINCT run_id
  FROM stg_bill_shares
  WHERE run_id IS NOT NULL
),

estimated AS (
  SELECT t.process, count(*) AS tasks, sum(CASE WHEN t.currency = 'USD' THEN t.cost_usd END) AS platform_usd
  FROM stg_tasks AS t
  INNER JOIN billed_runs AS b ON b.run_id = t.run_id
  WHERE NOT t.cached
  GROUP BY t.process
),

billed AS (
  SELECT
    CASE WHEN s.task_id IS NULL THEN '(no task)' ELSE t.process END AS process,
    sum(s.used_cost) AS used_usd,
    sum(s.unused_cost) AS unused_usd,
    sum(s.cost) AS bill_usd
  FROM stg_bill_shares AS s
  LEFT JOIN stg_tasks AS t ON t.run_id = s.run_id AND t.task_id = s.task_id
  WHERE s.run_id IS NOT NULL
  GROUP BY CASE WHEN s.task_id IS NULL THEN '(no task)' ELSE t.process END
)

SELECT
  coalesce(e.process, b.process) AS process,
  'USD' AS currency,
  'bill' AS cost_source,
  coalesce(e.tasks, 0) AS tasks,
  round(e.platform_usd, 6) AS platform_usd,
  round(b.used_usd, 6) AS used_usd,
  round(b.unused_usd, 6) AS unused_usd,
  round(b.bill_usd, 6) AS bill_usd,
  round(b.bill_usd / nullif(e.platform_usd, 0), 4) AS ratio
FROM estimated AS e
FULL JOIN billed AS b ON b.process = e.process
ORDER BY b.bill_usd DESC NULLS LAST, process
