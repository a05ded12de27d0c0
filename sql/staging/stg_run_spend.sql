-- What each run spent, and what the cache saved it; a run without tasks has a row too.
-- Grain: run. Units: USD, hours. A cost is null where no task of the run was priced.
WITH spent AS (
  SELECT
    run_id,
    count(*) AS tasks,
    count(CASE WHEN cached THEN 1 END) AS cached_tasks,
    count(CASE WHEN status = 'FAILED' THEN 1 END) AS failed_tasks,
    sum(cpu_hours) AS cpu_hours,
    sum(cost_usd) AS cost_usd,
    sum(CASE WHEN status = 'FAILED' THEN cost_usd ELSE 0 * cost_usd END) AS failed_cost_usd,
    sum(saved_cpu_hours) AS saved_cpu_hours,
    sum(saved_usd) AS saved_usd
  FROM stg_tasks
  GROUP BY run_id
)
SELECT
  r.run_id,
  r.pipeline,
  r.revision,
  r.user_name,
  r.workspace_id,
  r.workspace,
  r.month,
  r.status,
  r.resumed,
  coalesce(s.tasks, 0) AS tasks,
  coalesce(s.cached_tasks, 0) AS cached_tasks,
  coalesce(s.failed_tasks, 0) AS failed_tasks,
  s.cpu_hours,
  s.cost_usd,
  s.failed_cost_usd,
  s.saved_cpu_hours,
  s.saved_usd
FROM stg_runs AS r
LEFT JOIN spent AS s ON s.run_id = r.run_id
