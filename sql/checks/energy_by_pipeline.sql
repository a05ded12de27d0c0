-- The energy of all pipelines equals that of all runs.
SELECT p.kwh_high, r.kwh_high AS of_runs
FROM (SELECT coalesce(sum(kwh_high), 0) AS kwh_high, count(*) AS n FROM energy_by_pipeline) AS p
CROSS JOIN (SELECT coalesce(sum(kwh_high), 0) AS kwh_high FROM energy_by_run) AS r
WHERE abs(p.kwh_high - r.kwh_high) > 0.000001 * (p.n + 1)
