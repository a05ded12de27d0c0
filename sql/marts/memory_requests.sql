-- Grain: process, currency and source of cost. Units: GiB, GiB hours, USD, ratio.
WITH source AS (
  SELECT
    t.process, t.currency, t.cost_source, t.run_id, t.cpus, t.cost_usd, t.used_gib, t.out_of_memory,
    t.requested_gib, t.gib_per_vcpu, t.billed_vcpus, t.ran_seconds / 3600 AS hours,
    n.recommended_gib, least(n.recommended_gib, t.requested_gib) AS new_gib,
    n.base_cpus < t.cpus OR n.base_gib < t.requested_gib AS grown,
    coalesce(
      t.attempt = 1 AND t.status = 'COMPLETED' AND t.requested_gib > 0 AND t.used_gib > 0, FALSE
    ) AS judged
  FROM stg_tasks AS t
  INNER JOIN stg_task_needs AS n ON n.run_id = t.run_id AND n.task_id = t.task_id
),

saved AS (
  SELECT
    process, currency, cost_source, used_gib, out_of_memory, grown, recommended_gib,
    CASE WHEN judged THEN run_id END AS judged_run,
    CASE WHEN judged THEN requested_gib END AS judged_gib,
    CASE WHEN judged THEN used_gib END AS judged_used_gib,
    CASE WHEN judged THEN cpus END AS judged_cpus,
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
  round(max(judged_gib), 2) AS requested_gib,
  round(min(judged_gib), 2) AS lowest_requested_gib,
  round(avg(judged_used_gib), 2) AS used_gib,
  round(max(used_gib), 2) AS most_used_gib,
  round(sum(judged_gib) / sum(judged_used_gib), 1) AS requested_over_used,
  max(judged_cpus) AS requested_cpus,
  min(judged_cpus) AS lowest_requested_cpus,
  count(CASE WHEN out_of_memory THEN 1 END) AS killed_tasks,
  count(CASE WHEN grown THEN 1 END) AS grown_tasks,
  CAST(max(recommended_gib) AS BIGINT) AS recommended_gib,
  round(sum(saved_gib_hours), 2) AS saves_gib_hours,
  round(sum(judged_usd), 6) AS cost_usd,
  round(sum(coalesce(estimate_usd, 0 * judged_usd)), 6) AS saves_at_least_usd,
  round(sum(coalesce(estimate_usd, most_usd)), 6) AS saves_at_most_usd,
  round(sum(estimate_usd), 6) AS saves_estimate_usd
FROM saved
GROUP BY process, currency, cost_source
HAVING count(judged_gib) > 0
ORDER BY saves_at_least_usd DESC NULLS LAST, saves_gib_hours DESC NULLS LAST, process
