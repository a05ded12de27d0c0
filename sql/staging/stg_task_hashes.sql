-- Grain: run and hash. No units.
WITH ends AS (
  SELECT workflow_id AS run_id, task_id, right(rtrim(workdir, '/'), 33) AS ending
  FROM tasks
  WHERE status IS DISTINCT FROM 'CACHED' AND workdir IS NOT NULL
),

hashed AS (
  SELECT run_id, task_id, substr(ending, 1, 2) || substr(ending, 4) AS task_hash
  FROM ends
  WHERE substr(ending, 3, 1) = '/' AND length(ending) = 33
)

SELECT run_id, task_hash, min(task_id) AS task_id
FROM (
  SELECT run_id, task_id, task_hash FROM hashed
  UNION ALL
  SELECT run_id, task_id, substr(task_hash, 1, 8) AS task_hash FROM hashed
) AS spelled
GROUP BY run_id, task_hash
