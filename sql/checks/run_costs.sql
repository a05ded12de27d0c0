-- Every run has one row per currency and source of cost, and its platform cost is that of its paid
-- tasks.
WITH paid AS (
  SELECT workflow_id, sum(cost) AS cost_usd
  FROM tasks
  WHERE status IS DISTINCT FROM 'CACHED'
  GROUP BY workflow_id
)
SELECT w.id, count(r.run_id) AS times, max(r.cost_usd) AS cost_usd, max(p.cost_usd) AS paid_usd
FROM workflows AS w
LEFT JOIN run_costs AS r ON r.run_id = w.id AND r.cost_source = 'platform'
LEFT JOIN paid AS p ON p.workflow_id = w.id
GROUP BY w.id
HAVING count(r.run_id) > 1
  OR abs(coalesce(max(r.cost_usd), 0) - coalesce(max(p.cost_usd), 0)) > 0.000001
UNION ALL
SELECT w.id, count(r.run_id) AS times, max(r.cost_usd) AS cost_usd, NULL AS paid_usd
FROM workflows AS w
LEFT JOIN run_costs AS r ON r.run_id = w.id
GROUP BY w.id
HAVING count(r.run_id) = 0 OR count(r.run_id) <> count(DISTINCT r.currency || r.cost_source)
