-- Grain: run, currency and source of cost. Units: USD, hours; times are UTC.
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
  s.currency,
  s.cost_source,
  round(s.cost_usd, 6) AS cost_usd,
  round(s.cpu_hours, 4) AS cpu_hours,
  round(s.compute_cpu_hours, 4) AS compute_cpu_hours,
  round(s.used_cpu_hours, 4) AS used_cpu_hours,
  round(s.wait_hours, 4) AS wait_hours,
  round(s.ran_hours, 4) AS ran_hours,
  round(s.run_hours, 4) AS run_hours,
  round(s.staged_hours, 4) AS staged_hours,
  round(s.staging_usd, 6) AS staging_usd,
  round(s.failed_cost_usd, 6) AS failed_cost_usd,
  round(s.saved_usd, 6) AS saved_usd,
  round(s.saved_cpu_hours, 4) AS saved_cpu_hours,
  round(coalesce(s.cpu_hours, 0) + coalesce(s.saved_cpu_hours, 0), 4) AS platform_cpu_hours,
  round(CASE
    WHEN s.cost_source = 'platform'
    THEN coalesce(s.cost_usd + coalesce(s.saved_usd, 0), s.saved_usd)
  END, 6) AS platform_cost_usd,
  r.reported_cost,
  r.reported_currency
FROM stg_runs AS r
INNER JOIN stg_run_spend AS s ON s.run_id = r.run_id
ORDER BY r.submitted_at DESC NULLS LAST, r.run_id
