-- Every task that ran is in one process, and the shares make a whole.
SELECT listed.tasks, ran.tasks AS ran_tasks, listed.shares
FROM (
  SELECT coalesce(sum(tasks), 0) AS tasks, coalesce(sum(share_of_cost), 1) AS shares, count(*) AS n
  FROM cost_by_process
) AS listed
CROSS JOIN (SELECT count(*) AS tasks FROM tasks WHERE status IS DISTINCT FROM 'CACHED') AS ran
WHERE listed.tasks <> ran.tasks OR abs(listed.shares - 1) > 0.0001 * (listed.n + 1)
