-- Which processes leave the CPUs idle that they ask for.
-- Grain: process. Units: cores, hours, USD; `efficiency` is CPU time used of that requested, and
-- may be above 1. Only completed tasks that were measured. `idle_usd` is the idle share of a cost.
WITH measured AS (
  SELECT
    process,
    cpus,
    run_seconds,
    used_cpus * run_seconds AS used_seconds,
    cpus * run_seconds AS requested_seconds,
    cost_usd,
    CASE WHEN used_cpus < cpus THEN 1 - used_cpus / cpus ELSE 0 END AS idle_share
  FROM stg_tasks
  WHERE status = 'COMPLETED' AND cpus > 0 AND used_cpus IS NOT NULL AND run_seconds > 0
)

SELECT
  process,
  count(*) AS tasks,
  round(sum(requested_seconds) / sum(run_seconds), 2) AS requested_cpus,
  round(sum(used_seconds) / sum(run_seconds), 2) AS used_cpus,
  round(sum(used_seconds) / sum(requested_seconds), 4) AS efficiency,
  round(sum(idle_share * requested_seconds) / 3600, 2) AS idle_cpu_hours,
  round(sum(idle_share * cost_usd), 6) AS idle_usd
FROM measured
GROUP BY process
ORDER BY idle_cpu_hours DESC, process
