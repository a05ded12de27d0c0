-- Grain: machine type, zone, currency and source of cost. Units: times, hours, USD.
WITH source AS (
  SELECT
    machine_type, cloud_zone, currency, cost_source, cost_usd, cpu_hours, never_ran,
    coalesce(num_spot_interruptions, 0) AS interruptions,
    spot_lost AS lost,
    CASE WHEN after_spot_loss THEN escalated_usd ELSE 0 * escalated_usd END AS escalated_usd
  FROM stg_task_waste
  WHERE lower(price_model) = 'spot'
)

SELECT
  machine_type,
  cloud_zone,
  currency,
  cost_source,
  count(*) AS tasks,
  count(CASE WHEN lost OR interruptions > 0 THEN 1 END) AS interrupted_tasks,
  count(CASE WHEN lost THEN 1 END) AS lost_tasks,
  count(CASE WHEN lost AND never_ran THEN 1 END) AS never_ran_tasks,
  CAST(
    sum(CASE WHEN lost AND interruptions = 0 THEN 1 ELSE interruptions END) AS BIGINT
  ) AS interruptions,
  round(sum(cost_usd), 6) AS cost_usd,
  round(sum(CASE WHEN lost THEN cpu_hours ELSE 0 * cpu_hours END), 2) AS lost_cpu_hours,
  round(sum(CASE WHEN lost THEN cost_usd ELSE 0 * cost_usd END), 6) AS lost_usd,
  round(sum(escalated_usd), 6) AS escalated_usd
FROM source
GROUP BY machine_type, cloud_zone, currency, cost_source
ORDER BY lost_usd DESC NULLS LAST, interrupted_tasks DESC, machine_type, cloud_zone
