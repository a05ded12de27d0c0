-- Grain: day in which tasks started, currency and source of cost. Units: USD, hours; days are
-- UTC.
SELECT
  CAST(date_trunc('day', started_at AT TIME ZONE 'UTC') AS DATE) AS day,
  currency,
  cost_source,
  count(DISTINCT run_id) AS runs,
  count(*) AS tasks,
  round(sum(cpu_hours), 2) AS cpu_hours,
  round(sum(compute_cpu_hours), 2) AS compute_cpu_hours,
  round(sum(cost_usd), 6) AS cost_usd
FROM stg_tasks
WHERE NOT cached
GROUP BY CAST(date_trunc('day', started_at AT TIME ZONE 'UTC') AS DATE), currency, cost_source
ORDER BY day
