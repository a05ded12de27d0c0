-- Grain: process, currency and source of cost. Units: USD, hours.
WITH grouped AS (
  SELECT
    run_id, process, name, place, currency, cost_source,
    count(*) AS attempts,
    max(CASE WHEN attempt = last_attempt AND status = 'COMPLETED' THEN 1 ELSE 0 END) AS recovered,
    max(CASE WHEN retried AND spot_lost THEN 1 ELSE 0 END) AS spot_retried,
    sum(CASE WHEN retried THEN cpu_hours END) AS wasted_cpu_hours,
    sum(CASE WHEN retried THEN cost_usd END) AS wasted_usd,
    sum(CASE WHEN retried AND spot_lost THEN cost_usd ELSE 0 * cost_usd END) AS spot_wasted_usd,
    sum(escalated_usd) AS escalated_usd,
    sum(CASE WHEN after_spot_loss THEN escalated_usd ELSE 0 * escalated_usd END)
      AS spot_escalated_usd
  FROM stg_task_waste
  WHERE last_attempt > 1
  GROUP BY run_id, process, name, place, currency, cost_source
)

SELECT
  process,
  currency,
  cost_source,
  count(*) AS retried_tasks,
  CAST(sum(spot_retried) AS BIGINT) AS spot_retried_tasks,
  CAST(sum(attempts) AS BIGINT) AS attempts,
  CAST(sum(recovered) AS BIGINT) AS recovered_tasks,
  round(sum(wasted_cpu_hours), 2) AS wasted_cpu_hours,
  round(sum(wasted_usd), 6) AS wasted_usd,
  round(sum(spot_wasted_usd), 6) AS spot_wasted_usd,
  round(sum(wasted_usd) - sum(spot_wasted_usd), 6) AS other_wasted_usd,
  round(sum(escalated_usd), 6) AS escalated_usd,
  round(sum(spot_escalated_usd), 6) AS spot_escalated_usd
FROM grouped
GROUP BY process, currency, cost_source
ORDER BY wasted_usd DESC NULLS LAST, process
