-- What each run cost, how it ended and how long it took.
-- Grain: run. Units: USD, hours; times are UTC. What CACHED tasks saved stands apart;
-- `failed_cost_usd` is what attempts of tasks that failed cost.
SELECT
  r.run_id,
  r.run_name,
  r.pipeline,
  r.revision,
  r.user_name,
  r.workspace,
  r.status,
  r.submitted_at,
  r.ended_at,
  round(r.duration_seconds / 3600, 4) AS hours,
  s.tasks,
  s.cached_tasks,
  s.failed_tasks,
  round(s.cpu_hours, 4) AS cpu_hours,
  round(s.cost_usd, 6) AS cost_usd,
  round(s.failed_cost_usd, 6) AS failed_cost_usd,
  round(s.saved_usd, 6) AS saved_usd
FROM stg_runs AS r
INNER JOIN stg_run_spend AS s ON s.run_id = r.run_id
ORDER BY r.submitted_at DESC NULLS LAST, r.run_id
