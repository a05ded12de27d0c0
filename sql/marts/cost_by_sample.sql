-- Grain: run, sample, currency and source of cost. Units: USD.
WITH listed AS (
  SELECT run_id, sample
  FROM stg_samples
  UNION ALL
  SELECT r.run_id, '(whole run)' AS sample
  FROM stg_runs AS r
  LEFT JOIN stg_samples AS s ON s.run_id = r.run_id
  WHERE s.run_id IS NULL
),

billed AS (
  SELECT run_id, coalesce(task_id, -1) AS task_id, sum(cost) AS bill_usd
  FROM stg_bill_shares
  WHERE run_id IS NOT NULL
  GROUP BY run_id, coalesce(task_id, -1)
),

parts AS (
  SELECT
    coalesce(t.run_id, b.run_id) AS run_id,
    t.currency,
    t.cost_source,
    CASE WHEN t.cached THEN 0 WHEN t.run_id IS NULL THEN 0 ELSE 1 END AS tasks,
    t.tag,
    t.cost_usd,
    b.bill_usd
  FROM stg_tasks AS t
  FULL JOIN billed AS b ON b.run_id = t.run_id AND b.task_id = t.task_id
),

direct AS (
  SELECT
    g.run_id, g.currency, g.cost_source, s.sample,
    sum(p.tasks) AS tasks,
    sum(p.cost_usd) AS cost_usd,
    sum(p.bill_usd) AS bill_usd
  FROM parts AS p
  INNER JOIN stg_run_spend AS g
    ON g.run_id = p.run_id
    AND g.currency = coalesce(p.currency, CASE WHEN g.is_first THEN g.currency END)
    AND g.cost_source = coalesce(p.cost_source, g.cost_source)
  LEFT JOIN stg_samples AS s ON s.run_id = p.run_id AND s.sample = p.tag
  GROUP BY g.run_id, g.currency, g.cost_source, s.sample
),

whole AS (
  SELECT
    run_id, currency, cost_source,
    sum(cost_usd) AS cost_usd,
    sum(bill_usd) AS bill_usd,
    coalesce(sum(CASE WHEN sample IS NOT NULL THEN cost_usd END), 0) AS direct_usd,
    coalesce(sum(CASE WHEN sample IS NOT NULL THEN bill_usd END), 0) AS direct_bill_usd
  FROM direct
  GROUP BY run_id, currency, cost_source
)

SELECT
  l.run_id,
  l.sample,
  g.currency,
  g.cost_source,
  coalesce(d.tasks, 0) AS tasks,
  round(CASE WHEN w.cost_usd IS NOT NULL THEN coalesce(d.cost_usd, 0) END, 6) AS direct_usd,
  round(w.cost_usd * CASE
    WHEN w.direct_usd > 0 THEN coalesce(d.cost_usd, 0) / w.direct_usd
    ELSE 1.0 / count(*) OVER (PARTITION BY l.run_id, g.currency, g.cost_source)
  END, 6) AS cost_usd,
  round(w.bill_usd * CASE
    WHEN w.direct_bill_usd > 0 THEN coalesce(d.bill_usd, 0) / w.direct_bill_usd
    ELSE 1.0 / count(*) OVER (PARTITION BY l.run_id, g.currency, g.cost_source)
  END, 6) AS bill_usd
FROM listed AS l
INNER JOIN stg_run_spend AS g ON g.run_id = l.run_id
LEFT JOIN direct AS d ON d.run_id = l.run_id AND d.sample = l.sample
  AND d.currency = g.currency AND d.cost_source = g.cost_source
LEFT JOIN whole AS w
  ON w.run_id = l.run_id AND w.currency = g.currency AND w.cost_source = g.cost_source
ORDER BY l.run_id, cost_usd DESC NULLS LAST, l.sample, g.currency, g.cost_source
