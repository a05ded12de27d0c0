-- Grain: month of submission, currency and source of cost. Units: USD, hours; months are UTC.
SELECT
  month AS submission_month,
  currency,
  cost_source,
  count(*) AS runs,
  count(CASE WHEN status = 'SUCCEEDED' THEN 1 END) AS succeeded_runs,
  count(CASE WHEN status = 'FAILED' THEN 1 END) AS failed_runs,
  round(sum(cpu_hours), 2) AS cpu_hours,
  round(sum(compute_cpu_hours), 2) AS compute_cpu_hours,
  round(sum(cost_usd), 6) AS cost_usd,
  round(sum(failed_cost_usd), 6) AS failed_cost_usd
FROM stg_run_spend
GROUP BY month, currency, cost_source
ORDER BY submission_month
