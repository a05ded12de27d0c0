-- Which processes cost most.
-- Grain: process. Units: USD, hours; `share_of_cost` is of all that was spent. Failed attempts
-- count, CACHED tasks do not.
WITH summed AS (
  SELECT
    process,
    count(*) AS tasks,
    count(DISTINCT run_id) AS runs,
    sum(cpu_hours) AS cpu_hours,
    sum(cost_usd) AS cost_usd,
    avg(cost_usd) AS usd_per_task,
    max(cost_usd) AS dearest_task_usd
  FROM stg_tasks
  WHERE NOT cached
  GROUP BY process
)

SELECT
  process,
  tasks,
  runs,
  round(cpu_hours, 2) AS cpu_hours,
  round(cost_usd, 6) AS cost_usd,
  round(cost_usd / nullif(sum(cost_usd) OVER (), 0), 4) AS share_of_cost,
  round(usd_per_task, 6) AS usd_per_task,
  round(dearest_task_usd, 6) AS dearest_task_usd
FROM summed
ORDER BY cost_usd DESC NULLS LAST, process
