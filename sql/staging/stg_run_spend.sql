-- Grain: run, currency and source of cost, including runs without tasks. Units: USD, hours.
WITH spent AS (
  SELECT
    run_id,
    currency,
    cost_source,
    count(*) AS tasks,
    count(CASE WHEN cached THEN 1 END) AS cached_tasks,
    count(CASE WHEN status = 'FAILED' THEN 1 END) AS failed_tasks,
    count(CASE WHEN never_ran THEN 1 END) AS never_ran_tasks,
    sum(wait_seconds) / 3600 AS wait_hours,
    sum(ran_seconds) / 3600 AS ran_hours,
    sum(run_seconds) / 3600 AS run_hours,
    sum(staged_seconds) / 3600 AS staged_hours,
    sum(cpu_hours) AS cpu_hours,
    sum(compute_cpu_hours) AS compute_cpu_hours,
    sum(used_cpu_hours) AS used_cpu_hours,
    sum(cost_usd) AS cost_usd,
    sum(CASE WHEN status = 'FAILED' THEN cost_usd ELSE 0 * cost_usd END) AS failed_cost_usd,
    sum(cost_usd * coalesce(staged_seconds / nullif(ran_seconds, 0), 0)) AS staging_usd,
    sum(saved_cpu_hours) AS saved_cpu_hours,
    sum(saved_usd) AS saved_usd
  FROM stg_tasks
  GROUP BY run_id, currency, cost_source
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
  coalesce(s.currency, 'USD') AS currency,
  coalesce(s.cost_source, 'platform') AS cost_source,
  coalesce(s.tasks, 0) AS tasks,
  coalesce(s.cached_tasks, 0) AS cached_tasks,
  coalesce(s.failed_tasks, 0) AS failed_tasks,
  coalesce(s.never_ran_tasks, 0) AS never_ran_tasks,
  s.wait_hours,
  s.ran_hours,
  s.run_hours,
  s.staged_hours,
  s.cpu_hours,
  s.compute_cpu_hours,
  s.used_cpu_hours,
  s.cost_usd,
  s.failed_cost_usd,
  s.staging_usd,
  s.saved_cpu_hours,
  s.saved_usd,
  row_number() OVER (
    PARTITION BY r.run_id
    ORDER BY CASE WHEN s.currency = 'USD' THEN 0 ELSE 1 END, s.currency, s.cost_source
  ) = 1 AS is_first
FROM stg_runs AS r
LEFT JOIN spent AS s ON s.run_id = r.run_id
