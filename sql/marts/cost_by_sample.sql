-- What each sample of a run cost, its part of what all samples needed included.
-- Grain: run and sample; `(whole run)` where tags name none. Units: USD. `direct_usd` is of tasks
-- with the sample as tag; all else is shared in proportion to it (evenly where nothing was priced),
-- so that the samples add up to the run. `bill_usd` is what the cloud billed, shared likewise.
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
    CASE WHEN t.cached THEN 0 WHEN t.run_id IS NULL THEN 0 ELSE 1 END AS tasks,
    t.tag,
    t.cost_usd,
    b.bill_usd
  FROM stg_tasks AS t
  FULL JOIN billed AS b ON b.run_id = t.run_id AND b.task_id = t.task_id
),

direct AS (
  SELECT
    p.run_id,
    s.sample,
    sum(p.tasks) AS tasks,
    sum(p.cost_usd) AS cost_usd,
    sum(p.bill_usd) AS bill_usd
  FROM parts AS p
  LEFT JOIN stg_samples AS s ON s.run_id = p.run_id AND s.sample = p.tag
  GROUP BY p.run_id, s.sample
),

whole AS (
  SELECT
    run_id,
    sum(cost_usd) AS cost_usd,
    sum(bill_usd) AS bill_usd,
    coalesce(sum(CASE WHEN sample IS NOT NULL THEN cost_usd END), 0) AS direct_usd,
    coalesce(sum(CASE WHEN sample IS NOT NULL THEN bill_usd END), 0) AS direct_bill_usd
  FROM direct
  GROUP BY run_id
)

SELECT
  l.run_id,
  l.sample,
  coalesce(d.tasks, 0) AS tasks,
  round(CASE WHEN w.cost_usd IS NOT NULL THEN coalesce(d.cost_usd, 0) END, 6) AS direct_usd,
  round(w.cost_usd * CASE
    WHEN w.direct_usd > 0 THEN coalesce(d.cost_usd, 0) / w.direct_usd
    ELSE 1.0 / count(*) OVER (PARTITION BY l.run_id)
  END, 6) AS cost_usd,
  round(w.bill_usd * CASE
    WHEN w.direct_bill_usd > 0 THEN coalesce(d.bill_usd, 0) / w.direct_bill_usd
    ELSE 1.0 / count(*) OVER (PARTITION BY l.run_id)
  END, 6) AS bill_usd
FROM listed AS l
LEFT JOIN direct AS d ON d.run_id = l.run_id AND d.sample = l.sample
LEFT JOIN whole AS w ON w.run_id = l.run_id
ORDER BY l.run_id, cost_usd DESC NULLS LAST, l.sample
