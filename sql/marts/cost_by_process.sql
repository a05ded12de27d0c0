-- Grain: process, currency and source of cost. Units: USD, hours; `share_of_cost` is of the
-- total cost in that currency.
WITH summed AS (
  SELECT
    process,
    currency,
    cost_source,
    count(*) AS tasks,
    count(DISTINCT run_id) AS runs,
    sum(cpu_hours) AS cpu_hours,
    sum(compute_cpu_hours) AS compute_cpu_hours,
    sum(cost_usd) AS cost_usd,
    avg(cost_usd) AS usd_per_task,
    max(cost_usd) AS most_expensive_task_usd
  FROM stg_tasks
  WHERE NOT cached
  GROUP BY process, currency, cost_source
)

SELECT
  process,
  currency,
  cost_source,
  tasks,
  runs,
  round(cpu_hours, 2) AS cpu_hours,
  round(compute_cpu_hours, 2) AS compute_cpu_hours,
  round(cost_usd, 6) AS cost_usd,
  round(
    cost_usd / nullif(sum(cost_usd) OVER (PARTITION BY currency, cost_source), 0), 4
  ) AS share_of_cost,
  round(usd_per_task, 6) AS usd_per_task,
  round(most_expensive_task_usd, 6) AS most_expensive_task_usd
FROM summed
ORDER BY cost_usd DESC NULLS LAST, process
