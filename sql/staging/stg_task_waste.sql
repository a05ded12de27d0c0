-- Grain: task that was executed. Units: USD.
WITH source AS (
  SELECT
    t.run_id, t.task_id, t.process, t.name, t.place, t.attempt, t.last_attempt, t.status,
    t.spot_lost, t.after_spot_loss, t.never_ran, t.num_spot_interruptions, t.machine_type,
    t.cloud_zone, t.price_model, t.cpu_hours, t.currency, t.cost_source, t.cost_usd, t.retried,
    t.cpus, t.requested_gib, t.gib_per_vcpu, t.billed_vcpus, t.has_accelerator,
    t.recommended_gib, t.needed_cpus, t.base_cpus, t.base_gib,
    NOT t.retried AND u.task_id IS NULL AND (
      r.status IN ('FAILED', 'CANCELLED') OR t.status IN ('ABORTED', 'FAILED')
    ) AS lost,
    coalesce(t.staged_seconds / nullif(t.ran_seconds, 0), 0) AS staged_share
  FROM stg_task_needs AS t
  INNER JOIN stg_runs AS r ON r.run_id = t.run_id
  LEFT JOIN stg_reused_tasks AS u ON u.run_id = t.run_id AND u.task_id = t.task_id
),

-- each share is a share of the cost that remains after the previous categories
shares AS (
  SELECT
    run_id, task_id, process, name, place, attempt, last_attempt, status, spot_lost,
    after_spot_loss, never_ran, num_spot_interruptions, machine_type, cloud_zone, price_model,
    cpu_hours, currency, cost_source, cost_usd, retried, coalesce(lost, FALSE) AS lost,
    staged_share,
    greatest(coalesce(1 - CASE
      WHEN billed_vcpus > 0 AND base_cpus IS NOT NULL
      THEN greatest(base_cpus, ceil(base_gib / gib_per_vcpu - 0.000001)) / billed_vcpus
      ELSE greatest(
        CAST(base_cpus AS DOUBLE) / nullif(cpus, 0), base_gib / nullif(requested_gib, 0)
      )
    END, 0), 0) AS escalated_share,
    CASE
      WHEN has_accelerator OR needed_cpus IS NULL OR recommended_gib IS NULL
        OR base_cpus IS NULL OR base_gib IS NULL THEN 0
      ELSE greatest(coalesce(1 - greatest(
        needed_cpus / nullif(base_cpus, 0), recommended_gib / nullif(base_gib, 0)
      ), 0), 0)
    END AS over_share
  FROM source
),

split AS (
  SELECT
    run_id, task_id, process, name, place, attempt, last_attempt, status, spot_lost,
    after_spot_loss, never_ran, num_spot_interruptions, machine_type, cloud_zone, price_model,
    cpu_hours, currency, cost_source, cost_usd, retried, lost,
    CASE WHEN retried OR lost THEN 0 ELSE cost_usd END AS kept_usd,
    CASE WHEN retried OR lost THEN 0 ELSE cost_usd * staged_share END AS staging_usd,
    escalated_share, over_share
  FROM shares
)

SELECT
  run_id, task_id, process, name, place, attempt, last_attempt, status, spot_lost,
  after_spot_loss, never_ran, num_spot_interruptions, machine_type, cloud_zone, price_model,
  cpu_hours, currency, cost_source, retried, lost, cost_usd,
  CASE WHEN retried THEN cost_usd ELSE 0 * cost_usd END AS retried_usd,
  CASE WHEN lost THEN cost_usd ELSE 0 * cost_usd END AS lost_usd,
  staging_usd,
  (kept_usd - staging_usd) * escalated_share AS escalated_usd,
  (kept_usd - staging_usd) * (1 - escalated_share) * over_share AS over_requested_usd,
  (kept_usd - staging_usd) * (1 - escalated_share) * (1 - over_share) AS useful_usd
FROM split
