-- Every executed task is counted for one machine type.
SELECT listed.tasks, ran.tasks AS ran_tasks
FROM (SELECT coalesce(sum(tasks), 0) AS tasks FROM machine_mix) AS listed
CROSS JOIN (SELECT count(*) AS tasks FROM tasks WHERE status IS DISTINCT FROM 'CACHED') AS ran
WHERE listed.tasks <> ran.tasks
