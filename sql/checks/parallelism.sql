-- No value is negative, and a run has each hour between its first and last hour once.
SELECT run_id, hour_at
FROM parallelism
WHERE average_tasks < 0 OR average_cpus < 0
UNION ALL
SELECT run_id, hour_at
FROM parallelism
GROUP BY run_id, hour_at
HAVING count(*) > 1
UNION ALL
SELECT run_id, max(hour_at) AS hour_at
FROM parallelism
GROUP BY run_id
HAVING count(*) < least(
  (epoch_ms(max(hour_at)) - epoch_ms(min(hour_at))) // 3600000 + 1, 10000
)
