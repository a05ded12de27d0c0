-- Grain: line of a bill. Units: the currency of the line; times are UTC.
WITH split_hours AS (
  SELECT DISTINCT billing_account, parent_id, usage_start
  FROM bill_lines
  WHERE is_split AND parent_id IS NOT NULL
),

uncovered AS (
  SELECT b.*
  FROM bill_lines AS b
  LEFT JOIN split_hours AS s
    ON s.billing_account = b.billing_account
    AND s.parent_id = b.resource_id
    AND s.usage_start = b.usage_start
  WHERE s.parent_id IS NULL
    OR b.is_split
    OR NOT (
      b.resource_type IS NULL
      OR b.resource_type IN ('Compute Instance', 'Compute Instance (bare metal)')
    )
),

known AS (
  SELECT lower(id) AS run_key, min(id) AS run_id
  FROM workflows
  GROUP BY lower(id)
)

SELECT
  u.provider,
  u.billing_account,
  u.billing_period,
  u.line_number,
  u.account,
  u.usage_start,
  u.usage_end,
  u.charge_type,
  u.service,
  u.resource_type,
  u.resource_id,
  u.parent_id,
  u.machine_type,
  u.region,
  u.is_split,
  u.currency,
  u.used_cost,
  u.unused_cost,
  u.cost,
  u.run_id AS run_tag,
  u.task_hash,
  u.compute_env,
  k.run_id,
  h.task_id
FROM uncovered AS u
LEFT JOIN known AS k ON k.run_key = lower(u.run_id)
LEFT JOIN stg_task_hashes AS h ON h.run_id = k.run_id AND h.task_hash = u.task_hash
