-- Every executed task is in one process, and the shares of each currency and source add up to 1.
SELECT sum(p.tasks) AS tasks, max(ran.tasks) AS ran_tasks, NULL AS shares
FROM cost_by_process AS p
CROSS JOIN (SELECT count(*) AS tasks FROM tasks WHERE status IS DISTINCT FROM 'CACHED') AS ran
HAVING coalesce(sum(p.tasks), 0) <> coalesce(max(ran.tasks), 0)
UNION ALL
SELECT sum(tasks) AS tasks, NULL AS ran_tasks, sum(share_of_cost) AS shares
FROM cost_by_process
GROUP BY currency, cost_source
HAVING abs(coalesce(sum(share_of_cost), 1) - 1) > 0.0001 * (count(*) + 1)
