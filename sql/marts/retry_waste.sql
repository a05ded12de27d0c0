-- Grain: process, currency and source of cost. Units: USD, hours.
WITH grouped AS (
  SELECT
    a.run_id, a.process, a.name, a.place, w.currency, w.cost_source,
    count(*) AS attempts,
    max(CASE WHEN a.attempt = a.last_attempt AND a.status = 'COMPLETED' THEN 1 ELSE 0 END)
      AS recovered,
    max(CASE WHEN a.retried AND a.spot_lost THEN 1 ELSE 0 END) AS spot_retried,
    sum(CASE WHEN a.retried THEN t.cpu_hours END) AS wasted_cpu_hours,
    sum(CASE WHEN a.retried THEN t.cost_usd END) AS wasted_usd,
    sum(CASE WHEN a.retried AND a.spot_lost THEN t.cost_usd ELSE 0 * t.cost_usd END)
      AS spot_wasted_usd,
    sum(w.escalated_usd) AS escalated_usd,
    sum(CASE WHEN a.after_spot_loss THEN w.escalated_usd ELSE 0 * w.escalated_usd END)
      AS spot_escalated_usd
  FROM stg_attempts AS a
  INNER JOIN stg_tasks AS t ON t.run_id = a.run_id AND t.task_id = a.task_id
  INNER JOIN stg_task_waste AS w ON w.run_id = a.run_id AND w.task_id = a.task_id
  WHERE a.last_attempt > 1
  GROUP BY a.run_id, a.process, a.name, a.place, w.currency, w.cost_source
)

SELECT
  process,
  currency,
  cost_source,
  count(*) AS retried_tasks,
  CAST(sum(spot_retried) AS BIGINT) AS spot_retried_tasks,
  CAST(sum(attempts) AS BIGINT) AS attempts,
  CAST(sum(recovered) AS BIGINT) AS recovered_tasks,
  round(sum(wasted_cpu_hours), 2) AS wasted_cpu_hours,
  round(sum(wasted_usd), 6) AS wasted_usd,
  round(sum(spot_wasted_usd), 6) AS spot_wasted_usd,
  round(sum(wasted_usd) - sum(spot_wasted_usd), 6) AS other_wasted_usd,
  round(sum(escalated_usd), 6) AS escalated_usd,
  round(sum(spot_escalated_usd), 6) AS spot_escalated_usd
FROM grouped
GROUP BY process, currency, cost_source
ORDER BY wasted_usd DESC NULLS LAST, process
