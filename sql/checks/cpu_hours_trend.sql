-- Every run is in one month per currency and source of its costs, and the first month of a pipeline has no comparison.
SELECT 'all' AS pipeline, 'all' AS revision
FROM (SELECT coalesce(sum(runs), 0) AS runs FROM cpu_hours_trend) AS trend
CROSS JOIN (SELECT count(*) AS runs FROM run_costs) AS stored
WHERE trend.runs <> stored.runs
UNION ALL
SELECT pipeline, 'all' AS revision
FROM cpu_hours_trend
GROUP BY pipeline, currency, cost_source
HAVING count(change) >= count(*)
