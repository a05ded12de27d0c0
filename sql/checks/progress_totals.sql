-- The CPU hours and the cost of every run that ended are what the platform's progress says, within
-- 0.1 %. Times of the API are whole seconds, which is why a difference of one second of each CPU is
-- none, and figures of the mart are rounded. `task_counts` compares the numbers of tasks.
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
    run_id, status,
    sum(tasks) AS tasks,
    sum(platform_cpu_hours) AS platform_cpu_hours,
    sum(platform_cost_usd) AS platform_cost_usd,
    sum(CASE WHEN cost_source = 'platform' THEN cost_usd END) AS cost_usd
  FROM run_costs
  GROUP BY run_id, status
)

SELECT
  r.run_id, r.platform_cpu_hours, e.cpu_hours, r.platform_cost_usd, e.cost_usd,
  r.cost_usd AS net_usd, e.net_cost_usd
FROM found AS r
INNER JOIN expected AS e ON e.run_id = r.run_id
WHERE r.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND r.tasks > 0 AND (
  abs(r.platform_cpu_hours - e.cpu_hours)
    > greatest(0.001 * e.cpu_hours, e.slack_hours) + 0.0001
  OR abs(coalesce(r.platform_cost_usd, 0) - e.cost_usd) > 0.001 * e.cost_usd + 0.000001
  OR abs(coalesce(r.cost_usd, 0) - e.net_cost_usd) > 0.001 * e.net_cost_usd + 0.000001
)
