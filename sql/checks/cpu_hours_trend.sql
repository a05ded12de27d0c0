-- Every run is in one month, and the first month of a revision has none to compare with.
SELECT 'all' AS pipeline, 'all' AS revision
FROM (SELECT coalesce(sum(runs), 0) AS runs FROM cpu_hours_trend) AS trend
CROSS JOIN (SELECT count(*) AS runs FROM workflows) AS stored
WHERE trend.runs <> stored.runs
UNION ALL
SELECT pipeline, revision
FROM cpu_hours_trend
GROUP BY pipeline, revision
HAVING count(change) >= count(*)
