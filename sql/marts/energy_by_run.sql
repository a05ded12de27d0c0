-- Grain: run. Units: kWh, kg of carbon dioxide equivalent; times are UTC.
WITH summed AS (
  SELECT
    run_id,
    count(*) AS tasks,
    sum(kwh_low) AS kwh_low,
    sum(kwh_high) AS kwh_high,
    sum(kwh_low * g_per_kwh) / 1000 AS carbon_kg_low,
    sum(kwh_high * g_per_kwh) / 1000 AS carbon_kg_high
  FROM stg_task_energy
  GROUP BY run_id
)

SELECT
  r.run_id,
  r.run_name,
  r.pipeline,
  r.user_name,
  r.submitted_at,
  coalesce(s.tasks, 0) AS tasks,
  round(coalesce(s.kwh_low, 0), 6) AS kwh_low,
  round(coalesce(s.kwh_high, 0), 6) AS kwh_high,
  round(coalesce(s.carbon_kg_low, 0), 6) AS carbon_kg_low,
  round(coalesce(s.carbon_kg_high, 0), 6) AS carbon_kg_high
FROM stg_runs AS r
LEFT JOIN summed AS s ON s.run_id = r.run_id
ORDER BY r.submitted_at DESC NULLS LAST, r.run_id
