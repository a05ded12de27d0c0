-- Grain: process, currency and source of cost. Units: GiB, GiB hours, USD, ratio.
WITH source AS (
  SELECT
    process, currency, cost_source, run_id, cpus, cost_usd, used_gib, out_of_memory,
    requested_gib, gib_per_vcpu, billed_vcpus, ran_seconds / 3600 AS hours, recommended_gib,
    least(recommended_gib, requested_gib) AS new_gib,
    base_cpus < cpus OR base_gib < requested_gib AS grown, after_spot_loss,
    attempt = 1 AS is_first,
    coalesce(
      attempt = 1 AND status = 'COMPLETED' AND requested_gib > 0 AND used_gib > 0, FALSE
    ) AS judged
  FROM stg_task_needs
),

saved AS (
  SELECT
    process, currency, cost_source, used_gib, out_of_memory, grown, after_spot_loss,
    recommended_gib,
    CASE WHEN judged THEN run_id END AS judged_run,
    CASE WHEN judged THEN requested_gib END AS judged_gib,
    CASE WHEN judged THEN used_gib END AS judged_used_gib,
    CASE WHEN is_first THEN requested_gib END AS first_gib,
    CASE WHEN is_first THEN cpus END AS first_cpus,
    CASE WHEN judged THEN cost_usd END AS judged_usd,
    CASE WHEN judged THEN (requested_gib - new_gib) * hours END AS saved_gib_hours,
    CASE WHEN judged THEN cost_usd * (1 - new_gib / requested_gib) END AS most_usd,
    CASE WHEN judged AND billed_vcpus > 0 THEN cost_usd * (
      1 - greatest(CAST(cpus AS DOUBLE), ceil(new_gib / gib_per_vcpu - 0.000001)) / billed_vcpus
    ) END AS estimate_usd
  FROM source
)

SELECT
  process,
  currency,
  cost_source,
  count(judged_gib) AS tasks,
  count(DISTINCT judged_run) AS runs,
  count(judged_gib) < 10 AS weak,
  round(max(first_gib), 2) AS requested_gib,
  round(min(first_gib), 2) AS lowest_requested_gib,
  round(avg(judged_used_gib), 2) AS used_gib,
  round(max(used_gib), 2) AS most_used_gib,
  round(sum(judged_gib) / sum(judged_used_gib), 1) AS requested_over_used,
  max(first_cpus) AS requested_cpus,
  min(first_cpus) AS lowest_requested_cpus,
  count(CASE WHEN out_of_memory THEN 1 END) AS killed_tasks,
  count(CASE WHEN grown THEN 1 END) AS grown_tasks,
  count(CASE WHEN grown AND after_spot_loss THEN 1 END) AS spot_grown_tasks,
  -- a measured peak may be infinite or implausibly large
  CASE
    WHEN max(recommended_gib) BETWEEN 0 AND 1000000 THEN CAST(max(recommended_gib) AS BIGINT)
  END AS recommended_gib,
  round(sum(saved_gib_hours), 2) AS saves_gib_hours,
  round(sum(judged_usd), 6) AS cost_usd,
  round(sum(coalesce(estimate_usd, 0 * judged_usd)), 6) AS saves_at_least_usd,
  round(sum(coalesce(estimate_usd, most_usd)), 6) AS saves_at_most_usd,
  round(sum(estimate_usd), 6) AS saves_estimate_usd
FROM saved
GROUP BY process, currency, cost_source
HAVING count(judged_gib) > 0 OR count(CASE WHEN grown THEN 1 END) > 0
ORDER BY saves_at_least_usd DESC NULLS LAST, saves_gib_hours DESC NULLS LAST, process
