-- Every run is in one month, and the first month of a revision has none to compare with.
SELECT trend.runs, stored.runs AS stored_runs
FROM (SELECT coalesce(sum(runs), 0) AS runs FROM cpu_hours_trend) AS trend
CROSS JOIN (SELECT count(*) AS runs FROM workflows) AS stored
WHERE trend.runs <> stored.runs
