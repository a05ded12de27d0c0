-- No hour has less than nothing running, and a run has each hour once.
SELECT run_id, hour_at
FROM parallelism
WHERE average_tasks < 0 OR average_cpus < 0
UNION ALL
SELECT run_id, hour_at
FROM parallelism
GROUP BY run_id, hour_at
HAVING count(*) > 1
