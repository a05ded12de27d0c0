-- What each pipeline cost.
-- Grain: pipeline. Units: USD, hours. CACHED tasks cost nothing again. `failed_cost_usd` is what
-- attempts of tasks that failed cost, in runs that succeeded too.
SELECT
  pipeline,
  count(*) AS runs,
  count(CASE WHEN status = 'SUCCEEDED' THEN 1 END) AS succeeded_runs,
  count(CASE WHEN status = 'FAILED' THEN 1 END) AS failed_runs,
  round(sum(cpu_hours), 2) AS cpu_hours,
  round(sum(cost_usd), 6) AS cost_usd,
  round(sum(failed_cost_usd), 6) AS failed_cost_usd
FROM stg_run_spend
GROUP BY pipeline
ORDER BY cost_usd DESC NULLS LAST, pipeline
