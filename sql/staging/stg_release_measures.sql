-- Grain: pipeline, revision and measure (hours, cpu_hours, cost_usd).
WITH source AS (
  SELECT
    r.run_id,
    r.pipeline,
    r.revision,
    max(r.duration_seconds) / 3600 AS hours,
    sum(s.cpu_hours) AS cpu_hours,
    sum(CASE WHEN s.currency = 'USD' THEN s.cost_usd END) AS cost_usd
  FROM stg_runs AS r
  INNER JOIN stg_run_spend AS s ON s.run_id = r.run_id
  WHERE r.status = 'SUCCEEDED' AND NOT r.resumed
  GROUP BY r.run_id, r.pipeline, r.revision
  HAVING sum(s.cached_tasks) = 0
),

measures AS (
  SELECT pipeline, revision, 'hours' AS measure, hours AS amount
  FROM source
  UNION ALL
  SELECT pipeline, revision, 'cpu_hours' AS measure, cpu_hours AS amount
  FROM source
  UNION ALL
  SELECT pipeline, revision, 'cost_usd' AS measure, cost_usd AS amount
  FROM source
)

SELECT
  pipeline,
  revision,
  measure,
  count(*) AS runs,
  avg(ln(amount)) AS log_mean,
  coalesce(var_samp(ln(amount)), 0) / count(*) AS squared_error
FROM measures
WHERE amount > 0
GROUP BY pipeline, revision, measure
