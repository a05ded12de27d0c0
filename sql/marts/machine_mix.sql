-- Which machines, zones and price models the tasks ran on.
-- Grain: machine type, zone and price model. Units: USD, hours; `share_of_cost` is of all that was
-- spent. CACHED tasks ran nowhere.
WITH summed AS (
  SELECT
    machine_type,
    cloud_zone,
    price_model,
    count(*) AS tasks,
    count(DISTINCT run_id) AS runs,
    sum(cpu_hours) AS cpu_hours,
    sum(cost_usd) AS cost_usd
  FROM stg_tasks
  WHERE NOT cached
  GROUP BY machine_type, cloud_zone, price_model
)

SELECT
  machine_type,
  cloud_zone,
  price_model,
  tasks,
  runs,
  round(cpu_hours, 2) AS cpu_hours,
  round(cost_usd, 6) AS cost_usd,
  round(cost_usd / nullif(sum(cost_usd) OVER (), 0), 4) AS share_of_cost,
  round(cost_usd / nullif(cpu_hours, 0), 6) AS usd_per_cpu_hour
FROM summed
ORDER BY cost_usd DESC NULLS LAST, machine_type, cloud_zone, price_model
