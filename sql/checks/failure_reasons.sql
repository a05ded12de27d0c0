-- Every failed task is counted once.
SELECT failed.n, counted.n AS counted
FROM (SELECT count(*) AS n FROM tasks WHERE status = 'FAILED') AS failed
CROSS JOIN (SELECT coalesce(sum(failed_tasks), 0) AS n FROM failure_reasons) AS counted
WHERE failed.n <> counted.n
