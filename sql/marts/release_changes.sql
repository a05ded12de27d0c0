-- Grain: pipeline and revision that has one before it, by first submission. Units: hours, USD,
-- ratios.
WITH measured AS (
  SELECT
    pipeline, revision,
    max(runs) AS runs, max(previous_runs) AS previous_runs,
    max(CASE WHEN measure = 'hours' THEN typical END) AS hours_typical,
    max(CASE WHEN measure = 'hours' THEN previous_typical END) AS hours_previous_typical,
    max(CASE WHEN measure = 'hours' THEN ratio END) AS hours_ratio,
    max(CASE WHEN measure = 'hours' THEN ratio_low END) AS hours_ratio_low,
    max(CASE WHEN measure = 'hours' THEN ratio_high END) AS hours_ratio_high,
    max(CASE WHEN measure = 'cpu_hours' THEN typical END) AS cpu_hours_typical,
    max(CASE WHEN measure = 'cpu_hours' THEN previous_typical END) AS cpu_hours_previous_typical,
    max(CASE WHEN measure = 'cpu_hours' THEN ratio END) AS cpu_hours_ratio,
    max(CASE WHEN measure = 'cpu_hours' THEN ratio_low END) AS cpu_hours_ratio_low,
    max(CASE WHEN measure = 'cpu_hours' THEN ratio_high END) AS cpu_hours_ratio_high,
    max(CASE WHEN measure = 'cost_usd' THEN typical END) AS cost_usd_typical,
    max(CASE WHEN measure = 'cost_usd' THEN previous_typical END) AS cost_usd_previous_typical,
    max(CASE WHEN measure = 'cost_usd' THEN ratio END) AS cost_usd_ratio,
    max(CASE WHEN measure = 'cost_usd' THEN ratio_low END) AS cost_usd_ratio_low,
    max(CASE WHEN measure = 'cost_usd' THEN ratio_high END) AS cost_usd_ratio_high
  FROM stg_release_ratios
  GROUP BY pipeline, revision
),

sources AS (
  SELECT pipeline, revision, min(cost_source) AS cost_source
  FROM stg_run_spend
  GROUP BY pipeline, revision
)

SELECT
  r.pipeline,
  r.revision,
  r.previous_revision,
  r.first_submitted_at,
  r.runs,
  p.runs AS previous_runs,
  coalesce(m.runs, 0) AS compared_runs,
  coalesce(m.previous_runs, 0) AS previous_compared_runs,
  round(m.hours_typical, 4) AS hours_per_run,
  round(m.hours_previous_typical, 4) AS previous_hours_per_run,
  round(m.hours_ratio, 4) AS duration_ratio,
  round(m.hours_ratio_low, 4) AS duration_ratio_low,
  round(m.hours_ratio_high, 4) AS duration_ratio_high,
  round(m.cpu_hours_typical, 4) AS cpu_hours_per_run,
  round(m.cpu_hours_previous_typical, 4) AS previous_cpu_hours_per_run,
  round(m.cpu_hours_ratio, 4) AS cpu_hours_ratio,
  round(m.cpu_hours_ratio_low, 4) AS cpu_hours_ratio_low,
  round(m.cpu_hours_ratio_high, 4) AS cpu_hours_ratio_high,
  'USD' AS currency,
  s.cost_source,
  round(m.cost_usd_typical, 6) AS cost_usd_per_run,
  round(m.cost_usd_previous_typical, 6) AS previous_cost_usd_per_run,
  round(m.cost_usd_ratio, 4) AS cost_ratio,
  round(m.cost_usd_ratio_low, 4) AS cost_ratio_low,
  round(m.cost_usd_ratio_high, 4) AS cost_ratio_high,
  round(r.failure_rate, 4) AS failure_rate,
  round(p.failure_rate, 4) AS previous_failure_rate,
  round(r.failure_rate - p.failure_rate, 4) AS failure_rate_change,
  round(r.failure_rate - p.failure_rate - sqrt(
    power(r.failure_rate - r.failure_rate_low, 2) + power(p.failure_rate_high - p.failure_rate, 2)
  ), 4) AS failure_rate_change_low,
  round(r.failure_rate - p.failure_rate + sqrt(
    power(r.failure_rate_high - r.failure_rate, 2) + power(p.failure_rate - p.failure_rate_low, 2)
  ), 4) AS failure_rate_change_high
FROM stg_releases AS r
INNER JOIN stg_releases AS p ON p.pipeline = r.pipeline AND p.revision = r.previous_revision
LEFT JOIN measured AS m ON m.pipeline = r.pipeline AND m.revision = r.revision
LEFT JOIN sources AS s ON s.pipeline = r.pipeline AND s.revision = r.revision
ORDER BY r.first_submitted_at DESC NULLS LAST, r.pipeline, r.revision
