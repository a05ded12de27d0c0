-- Grain: task that was executed. Units: cores, GiB, USD.
WITH peaks AS (
  SELECT
    process,
    percentile_cont(0.95) WITHIN GROUP (
      ORDER BY CASE WHEN attempt = 1 AND status = 'COMPLETED' AND used_gib > 0 THEN used_gib END
    ) AS high_gib,
    max(used_gib) AS largest_gib,
    max(CASE WHEN attempt = 1 AND out_of_memory THEN requested_gib END) AS too_small_gib
  FROM stg_tasks
  WHERE NOT cached
  GROUP BY process
),

recommended AS (
  SELECT
    process,
    CASE WHEN high_gib IS NOT NULL THEN greatest(
      ceil(high_gib * 1.25), ceil(largest_gib), floor(coalesce(too_small_gib, 0)) + 1
    ) END AS gib
  FROM peaks
),

firsts AS (
  SELECT run_id, process, max(cpus) AS cpus, max(requested_gib) AS gib
  FROM stg_tasks
  WHERE NOT cached AND attempt = 1
  GROUP BY run_id, process
)

SELECT
  t.run_id, t.task_id, t.process, t.name, t.status, t.attempt, t.never_ran, t.spot_lost,
  t.out_of_memory, t.num_spot_interruptions, t.ran_seconds, t.staged_seconds, t.currency,
  t.cost_source, t.cost_usd, t.cpu_hours, t.cpus, t.requested_gib, t.used_gib, t.gib_per_vcpu,
  t.billed_vcpus, t.has_accelerator, t.machine_type, t.cloud_zone, t.price_model,
  n.gib AS recommended_gib,
  CASE
    WHEN t.used_cpus IS NOT NULL AND NOT t.has_accelerator THEN greatest(ceil(t.used_cpus), 1)
  END AS needed_cpus,
  CASE WHEN t.attempt = 1 THEN t.cpus ELSE coalesce(a.first_cpus, f.cpus) END AS base_cpus,
  CASE WHEN t.attempt = 1 THEN t.requested_gib ELSE coalesce(a.first_gib, f.gib) END AS base_gib,
  a.place,
  a.last_attempt,
  coalesce(a.retried, FALSE) AS retried,
  coalesce(a.after_spot_loss, FALSE) AS after_spot_loss
FROM stg_tasks AS t
LEFT JOIN recommended AS n ON n.process = t.process
LEFT JOIN stg_attempts AS a ON a.run_id = t.run_id AND a.task_id = t.task_id
LEFT JOIN firsts AS f ON f.run_id = t.run_id AND f.process = t.process
WHERE NOT t.cached
