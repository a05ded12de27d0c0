-- What the runs with each value of a label `key=value` cost: projects, cost centres, studies.
-- Grain: key and value; `(none)` has the runs without the key. Units: USD, hours. Of each key, the
-- costs of its values add up to what was spent. `bill_usd` is of the runs with a bill.
WITH known AS (
  SELECT DISTINCT label_key
  FROM stg_run_label_values
),

spent AS (
  SELECT run_id, sum(cpu_hours) AS cpu_hours, sum(cost_usd) AS cost_usd
  FROM stg_run_spend
  GROUP BY run_id
),

valued AS (
  SELECT
    k.label_key,
    coalesce(v.label_value, '(none)') AS label_value,
    s.cpu_hours,
    s.cost_usd,
    b.platform_usd,
    b.bill_usd
  FROM spent AS s
  CROSS JOIN known AS k
  LEFT JOIN stg_run_label_values AS v ON v.run_id = s.run_id AND v.label_key = k.label_key
  LEFT JOIN bill_by_run AS b ON b.run_id = s.run_id
)

SELECT
  label_key AS key,
  label_value AS value,
  count(*) AS runs,
  round(sum(cpu_hours), 2) AS cpu_hours,
  round(sum(cost_usd), 6) AS cost_usd,
  count(bill_usd) AS billed_runs,
  round(sum(CASE WHEN bill_usd IS NOT NULL THEN platform_usd END), 6) AS billed_platform_usd,
  round(sum(bill_usd), 6) AS bill_usd
FROM valued
GROUP BY label_key, label_value
ORDER BY label_key, sum(cost_usd) DESC NULLS LAST, label_value
