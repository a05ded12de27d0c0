-- Where spot machines are taken away, and what that cost.
-- Grain: machine type and zone. Units: times, hours, USD. A task was interrupted if the platform
-- counted it, or if it failed with 50001 (Google Batch), or with 143 or without a word of its node
-- (2147483647), which other causes may have too. Lost is what failed; a task that its queue began
-- again is only counted.
WITH spot AS (
  SELECT
    machine_type,
    cloud_zone,
    cost_usd,
    cpu_hours,
    coalesce(num_spot_interruptions, 0) AS interruptions,
    status = 'FAILED' AND (
      coalesce(num_spot_interruptions, 0) > 0 OR exit_code IN ('143', '50001', '2147483647')
    ) AS lost
  FROM stg_tasks
  WHERE NOT cached AND lower(price_model) = 'spot'
)

SELECT
  machine_type,
  cloud_zone,
  count(*) AS tasks,
  count(CASE WHEN lost OR interruptions > 0 THEN 1 END) AS interrupted_tasks,
  count(CASE WHEN lost THEN 1 END) AS lost_tasks,
  CAST(
    sum(CASE WHEN lost AND interruptions = 0 THEN 1 ELSE interruptions END) AS BIGINT
  ) AS interruptions,
  round(sum(cost_usd), 6) AS cost_usd,
  round(sum(CASE WHEN lost THEN cpu_hours ELSE 0 * cpu_hours END), 2) AS lost_cpu_hours,
  round(sum(CASE WHEN lost THEN cost_usd ELSE 0 * cost_usd END), 6) AS lost_usd
FROM spot
GROUP BY machine_type, cloud_zone
ORDER BY lost_usd DESC NULLS LAST, interrupted_tasks DESC, machine_type, cloud_zone
