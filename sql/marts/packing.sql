-- Grain: hour, machine type and queue. Units: USD; hours are UTC.
WITH split AS (
  SELECT
    s.usage_start AS hour_at,
    coalesce(s.machine_type, t.machine_type, 'unknown') AS machine_type,
    coalesce(t.queue, 'unknown') AS queue,
    s.parent_id,
    s.run_id || '/' || CAST(s.task_id AS TEXT) AS task,
    s.used_cost,
    s.unused_cost,
    s.cost
  FROM stg_bill_shares AS s
  LEFT JOIN stg_tasks AS t ON t.run_id = s.run_id AND t.task_id = s.task_id
  WHERE s.is_split AND s.currency = 'USD'
)

SELECT
  hour_at,
  machine_type,
  queue,
  'USD' AS currency,
  'bill' AS cost_source,
  count(DISTINCT parent_id) AS machines,
  count(DISTINCT task) AS tasks,
  round(sum(used_cost), 6) AS used_usd,
  round(sum(unused_cost), 6) AS unused_usd,
  round(sum(cost), 6) AS bill_usd,
  round(sum(unused_cost) / nullif(sum(cost), 0), 4) AS unused_share
FROM split
GROUP BY hour_at, machine_type, queue
ORDER BY hour_at, machine_type, queue
