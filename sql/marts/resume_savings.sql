-- Grain: pipeline, currency and source of cost. Units: USD, hours; `cached_share` is of all
-- tasks.
SELECT
  pipeline,
  currency,
  cost_source,
  count(*) AS runs,
  count(CASE WHEN resumed THEN 1 END) AS resumed_runs,
  CAST(sum(cached_tasks) AS BIGINT) AS cached_tasks,
  round(sum(cached_tasks) / CAST(nullif(sum(tasks), 0) AS DOUBLE), 4) AS cached_share,
  round(sum(saved_cpu_hours), 2) AS saved_cpu_hours,
  round(sum(saved_usd), 6) AS saved_usd,
  round(sum(cost_usd), 6) AS cost_usd
FROM stg_run_spend
GROUP BY pipeline, currency, cost_source
ORDER BY saved_usd DESC NULLS LAST, pipeline
