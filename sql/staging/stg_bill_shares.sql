-- Grain: line, or hour of a compute environment and task. Units: the currency of the row; times
-- are UTC.
WITH tagged AS (
  SELECT
    billing_period, provider, billing_account, account, service, charge_type, currency,
    usage_start, usage_end, parent_id, machine_type, is_split, used_cost, unused_cost, cost,
    CASE WHEN currency = 'USD' THEN run_id END AS run_id,
    CASE WHEN currency = 'USD' THEN task_id END AS task_id,
    CASE WHEN run_id IS NULL AND run_tag IS NULL AND currency = 'USD' THEN lower(compute_env) END
      AS place,
    CASE
      WHEN currency IS DISTINCT FROM 'USD' THEN 'other currency'
      WHEN run_id IS NOT NULL THEN NULL
      WHEN run_tag IS NOT NULL THEN 'unknown run'
      WHEN compute_env IS NOT NULL THEN 'no task at that time'
      ELSE 'no run tag'
    END AS reason
  FROM stg_bill_lines
),

pooled AS (
  SELECT
    billing_period, provider, billing_account, account, service, charge_type, currency,
    usage_start, usage_end, parent_id, machine_type, is_split, place, reason,
    epoch_ms(usage_start) AS from_ms,
    epoch_ms(usage_end) AS until_ms,
    sum(used_cost) AS used_cost,
    sum(unused_cost) AS unused_cost,
    sum(cost) AS cost
  FROM tagged
  WHERE place IS NOT NULL
  GROUP BY billing_period, provider, billing_account, account, service, charge_type, currency,
    usage_start, usage_end, parent_id, machine_type, is_split, place, reason
),

weighed AS (
  SELECT
    p.*,
    o.run_id,
    o.task_id,
    o.billed_vcpus * (least(o.ended_ms, p.until_ms) - greatest(o.started_ms, p.from_ms)) AS weight
  FROM pooled AS p
  LEFT JOIN stg_occupied_shares AS o
    ON o.place = p.place AND o.started_ms < p.until_ms AND o.ended_ms > p.from_ms
),

shared AS (
  SELECT
    w.*,
    CASE WHEN run_id IS NULL THEN 1 ELSE weight / sum(weight) OVER (PARTITION BY billing_period,
      provider, billing_account, account, service, charge_type, usage_start, usage_end, parent_id,
      machine_type, is_split, place) END AS share
  FROM weighed AS w
)

SELECT billing_period, provider, billing_account, account, service, charge_type, currency,
  usage_start, parent_id, machine_type, is_split, run_id, task_id, reason,
  CASE WHEN run_id IS NOT NULL THEN 'tag' END AS method,
  used_cost, unused_cost, cost
FROM tagged
WHERE place IS NULL
UNION ALL
SELECT billing_period, provider, billing_account, account, service, charge_type, currency,
  usage_start, parent_id, machine_type, is_split, run_id, task_id,
  CASE WHEN run_id IS NULL THEN reason END AS reason,
  CASE WHEN run_id IS NOT NULL THEN 'allocated' END AS method,
  used_cost * share AS used_cost, unused_cost * share AS unused_cost, cost * share AS cost
FROM shared
