-- What each pipeline cost. Grain: pipeline. Units: USD, hours. CACHED tasks cost nothing again.
WITH spent AS (
  SELECT
    workflow_id,
    sum(cost) AS cost_usd,
    sum(realtime * cpus) / 3600000.0 AS cpu_hours,
    sum(CASE WHEN status = 'FAILED' THEN cost ELSE 0 END) AS failed_cost_usd
  FROM tasks
  WHERE status <> 'CACHED'
  GROUP BY workflow_id
)
SELECT
  coalesce(w.project_name, w.repository, 'unknown') AS pipeline,
  count(*) AS runs,
  sum(CASE WHEN w.status = 'SUCCEEDED' THEN 1 ELSE 0 END) AS succeeded_runs,
  sum(CASE WHEN w.status = 'FAILED' THEN 1 ELSE 0 END) AS failed_runs,
  round(sum(s.cpu_hours), 2) AS cpu_hours,
  round(sum(s.cost_usd), 4) AS cost_usd,
  round(sum(s.failed_cost_usd), 4) AS failed_cost_usd
FROM workflows AS w
LEFT JOIN spent AS s ON s.workflow_id = w.id
GROUP BY coalesce(w.project_name, w.repository, 'unknown')
ORDER BY cost_usd DESC NULLS LAST, pipeline
