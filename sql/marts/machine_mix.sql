-- Grain: machine type, zone, price model, currency and source of cost. Units: USD, hours;
-- `share_of_cost` is of the total cost in that currency.
WITH summed AS (
  SELECT
    machine_type,
    cloud_zone,
    price_model,
    currency,
    cost_source,
    count(*) AS tasks,
    count(DISTINCT run_id) AS runs,
    sum(cpu_hours) AS cpu_hours,
    sum(billed_vcpus * ran_seconds) / 3600 AS billed_vcpu_hours,
    sum(cost_usd) AS cost_usd,
    sum(CASE WHEN cost_usd IS NOT NULL THEN cpu_hours END) AS priced_cpu_hours,
    sum(CASE WHEN cost_usd IS NOT NULL THEN billed_vcpus * ran_seconds END) / 3600
      AS priced_vcpu_hours
  FROM stg_tasks
  WHERE NOT cached
  GROUP BY machine_type, cloud_zone, price_model, currency, cost_source
)

SELECT
  machine_type,
  cloud_zone,
  price_model,
  currency,
  cost_source,
  tasks,
  runs,
  round(cpu_hours, 2) AS cpu_hours,
  round(billed_vcpu_hours, 2) AS billed_vcpu_hours,
  round(cost_usd, 6) AS cost_usd,
  round(
    cost_usd / nullif(sum(cost_usd) OVER (PARTITION BY currency, cost_source), 0), 4
  ) AS share_of_cost,
  round(cost_usd / nullif(priced_cpu_hours, 0), 6) AS usd_per_cpu_hour,
  round(cost_usd / nullif(priced_vcpu_hours, 0), 6) AS usd_per_billed_vcpu_hour
FROM summed
ORDER BY cost_usd DESC NULLS LAST, machine_type, cloud_zone, price_model
