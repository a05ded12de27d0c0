-- The CPU hours and the cost of every run that ended equal the platform's progress, within 0.1 %.
-- Times of the API are whole seconds, so a difference of one second per CPU is accepted. Figures of
-- the mart are rounded. `task_counts` compares the numbers of tasks.
WITH expected AS (
  SELECT
    workflow_id AS run_id,
    CAST(cpu_time AS DOUBLE) / 3600000 AS cpu_hours,
    coalesce(cpus, 0) / 3600.0 AS slack_hours,
    cost AS cost_usd,
    net_cost AS net_cost_usd
  FROM workflow_progress
),

found AS (
  SELECT
    r.run_id, r.status,
    sum(r.tasks) AS tasks,
    sum(r.platform_cpu_hours) AS cpu_hours,
    sum(r.platform_cost_usd) AS cost_usd,
    sum(CASE WHEN r.cost_source = 'platform' THEN r.cost_usd END) AS net_cost_usd
  FROM run_costs AS r
  GROUP BY r.run_id, r.status
)

SELECT
  f.run_id, f.cpu_hours, e.cpu_hours AS platform_cpu_hours, f.cost_usd,
  e.cost_usd AS platform_cost_usd, f.net_cost_usd, e.net_cost_usd AS platform_net_cost_usd
FROM found AS f
INNER JOIN expected AS e ON e.run_id = f.run_id
WHERE f.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND f.tasks > 0 AND (
  abs(f.cpu_hours - e.cpu_hours)
    > greatest(0.001 * e.cpu_hours, e.slack_hours) + 0.0001
  OR abs(coalesce(f.cost_usd, 0) - e.cost_usd) > 0.001 * e.cost_usd + 0.000001
  OR abs(coalesce(f.net_cost_usd, 0) - e.net_cost_usd) > 0.001 * e.net_cost_usd + 0.000001
)
