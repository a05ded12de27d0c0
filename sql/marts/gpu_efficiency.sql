-- Grain: process, accelerator, machine type, currency and source of cost. Units: hours, percent,
-- GiB, USD.
WITH source AS (
  SELECT
    process,
    coalesce(accelerator_name, 'unknown') AS accelerator,
    machine_type, currency, cost_source, run_id, accelerators, cost_usd,
    ran_seconds / 3600 AS hours,
    CASE WHEN gpu_percent IS NOT NULL THEN ran_seconds / 3600 END AS measured_hours,
    CASE WHEN gpu_percent > 100 THEN 100 ELSE gpu_percent END AS gpu_percent,
    gpu_peak_percent, gpu_gib, gpu_peak_gib
  FROM stg_tasks
  WHERE has_accelerator AND NOT cached
)

SELECT
  process,
  accelerator,
  machine_type,
  currency,
  cost_source,
  count(*) AS tasks,
  count(DISTINCT run_id) AS runs,
  count(measured_hours) AS measured_tasks,
  round(sum(accelerators * hours), 2) AS gpu_hours,
  round(sum(gpu_percent * measured_hours) / nullif(sum(measured_hours), 0), 2) AS gpu_percent,
  round(max(gpu_peak_percent), 2) AS gpu_peak_percent,
  round(max(gpu_gib), 2) AS gpu_gib,
  round(max(gpu_peak_gib), 2) AS gpu_peak_gib,
  round(sum(cost_usd), 6) AS cost_usd,
  round(sum(cost_usd * (1 - gpu_percent / 100)), 6) AS idle_usd
FROM source
GROUP BY process, accelerator, machine_type, currency, cost_source
ORDER BY cost_usd DESC NULLS LAST, process, accelerator, machine_type
