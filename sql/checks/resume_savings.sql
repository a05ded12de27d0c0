-- Every cached task is counted once.
SELECT listed.tasks, stored.tasks AS stored_tasks
FROM (SELECT coalesce(sum(cached_tasks), 0) AS tasks FROM resume_savings) AS listed
CROSS JOIN (SELECT count(*) AS tasks FROM tasks WHERE status = 'CACHED') AS stored
WHERE listed.tasks <> stored.tasks
