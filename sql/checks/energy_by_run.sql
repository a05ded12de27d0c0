-- Every executed task is counted once, the low value is not above the high one, and tasks add up to runs.
SELECT 'tasks' AS what, e.tasks AS found, t.tasks AS expected
FROM (SELECT coalesce(sum(tasks), 0) AS tasks FROM energy_by_run) AS e
CROSS JOIN (SELECT count(*) AS tasks FROM stg_tasks WHERE NOT cached AND run_seconds > 0) AS t
WHERE e.tasks <> t.tasks
UNION ALL
SELECT 'kwh' AS what, e.kwh_high AS found, t.kwh_high AS expected
FROM (SELECT coalesce(sum(kwh_high), 0) AS kwh_high, count(*) AS n FROM energy_by_run) AS e
CROSS JOIN (SELECT coalesce(sum(kwh_high), 0) AS kwh_high FROM stg_task_energy) AS t
WHERE abs(e.kwh_high - t.kwh_high) > 0.000001 * (e.n + 1)
UNION ALL
SELECT 'range' AS what, kwh_low AS found, kwh_high AS expected
FROM energy_by_run
WHERE kwh_low > kwh_high
