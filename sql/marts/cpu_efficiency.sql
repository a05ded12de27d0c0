-- Grain: process, currency and source of cost. Units: cores, hours, USD; `efficiency` is CPU time
-- used of that requested while commands ran, and may be above 1.
WITH source AS (
  SELECT
    process, currency, cost_source, run_id, cpus, used_cpus, cost_usd, requested_gib,
    billed_vcpus, gib_per_vcpu, compute_cpu_hours, used_cpu_hours, run_seconds / 3600 AS run_hours
  FROM stg_tasks
  WHERE attempt = 1 AND status = 'COMPLETED' AND NOT has_accelerator
    AND cpus > 0 AND used_cpus IS NOT NULL AND run_seconds > 0
),

recommended AS (
  SELECT
    process,
    greatest(
      ceil(percentile_cont(0.95) WITHIN GROUP (ORDER BY used_cpus) - 0.000001), 1
    ) AS recommended_cpus
  FROM source
  GROUP BY process
),

saved AS (
  SELECT
    s.process, s.currency, s.cost_source, s.run_id, s.cpus, s.cost_usd, s.compute_cpu_hours,
    s.used_cpu_hours, s.run_hours, r.recommended_cpus,
    greatest(s.compute_cpu_hours - s.used_cpu_hours, 0) AS idle_cpu_hours,
    s.cost_usd * (1 - least(r.recommended_cpus, s.cpus) / s.cpus) AS most_usd,
    CASE WHEN s.billed_vcpus > 0 THEN s.cost_usd * (1 - greatest(
      least(r.recommended_cpus, s.cpus), ceil(s.requested_gib / s.gib_per_vcpu - 0.000001)
    ) / s.billed_vcpus) END AS estimate_usd
  FROM source AS s
  INNER JOIN recommended AS r ON r.process = s.process
)

SELECT
  process,
  currency,
  cost_source,
  count(*) AS tasks,
  count(DISTINCT run_id) AS runs,
  count(*) < 10 AS weak,
  max(cpus) AS requested_cpus,
  min(cpus) AS lowest_requested_cpus,
  round(sum(used_cpu_hours) / sum(run_hours), 2) AS used_cpus,
  round(sum(used_cpu_hours) / sum(compute_cpu_hours), 4) AS efficiency,
  -- a measured peak may be infinite or implausibly large
  CASE
    WHEN max(recommended_cpus) BETWEEN 0 AND 1000000 THEN CAST(max(recommended_cpus) AS BIGINT)
  END AS recommended_cpus,
  round(sum(idle_cpu_hours), 2) AS idle_cpu_hours,
  round(sum(cost_usd), 6) AS cost_usd,
  round(sum(coalesce(estimate_usd, 0 * cost_usd)), 6) AS saves_at_least_usd,
  round(sum(coalesce(estimate_usd, most_usd)), 6) AS saves_at_most_usd,
  round(sum(estimate_usd), 6) AS saves_estimate_usd
FROM saved
GROUP BY process, currency, cost_source
ORDER BY idle_cpu_hours DESC, process
