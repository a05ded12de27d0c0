-- Grain: pipeline. Units: kWh, kg of carbon dioxide equivalent.
SELECT
  pipeline,
  count(*) AS runs,
  round(sum(kwh_low), 6) AS kwh_low,
  round(sum(kwh_high), 6) AS kwh_high,
  round(sum(carbon_kg_low), 6) AS carbon_kg_low,
  round(sum(carbon_kg_high), 6) AS carbon_kg_high
FROM energy_by_run
GROUP BY pipeline
ORDER BY sum(kwh_high) DESC, pipeline
