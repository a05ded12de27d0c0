-- Grain: key, value, currency and source of cost. Units: USD, hours.
WITH known AS (
  SELECT DISTINCT label_key
  FROM stg_run_label_values
),

valued AS (
  SELECT
    k.label_key,
    coalesce(v.label_value, '(none)') AS label_value,
    s.currency,
    s.cost_source,
    s.cpu_hours,
    s.cost_usd,
    b.platform_usd,
    b.bill_usd
  FROM stg_run_spend AS s
  CROSS JOIN known AS k
  LEFT JOIN stg_run_label_values AS v ON v.run_id = s.run_id AND v.label_key = k.label_key
  LEFT JOIN bill_by_run AS b ON b.run_id = s.run_id AND s.is_first
)

SELECT
  label_key AS key,
  label_value AS value,
  currency,
  cost_source,
  count(*) AS runs,
  round(sum(cpu_hours), 2) AS cpu_hours,
  round(sum(cost_usd), 6) AS cost_usd,
  count(bill_usd) AS billed_runs,
  round(sum(CASE WHEN bill_usd IS NOT NULL THEN platform_usd END), 6) AS billed_platform_usd,
  round(sum(bill_usd), 6) AS bill_usd
FROM valued
GROUP BY label_key, label_value, currency, cost_source
ORDER BY label_key, sum(cost_usd) DESC NULLS LAST, label_value, currency, cost_source
