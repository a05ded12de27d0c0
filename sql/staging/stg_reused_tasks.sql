-- Grain: completed task that a later run of its session took from the cache. No units.
WITH resumed AS (
  SELECT session_id
  FROM workflows
  WHERE session_id IS NOT NULL
  GROUP BY session_id
  HAVING count(*) > 1
),

source AS (
  SELECT w.session_id, w.id AS run_id, w.submit, t.task_id, t.hash, t.status
  FROM workflows AS w
  INNER JOIN resumed AS r ON r.session_id = w.session_id
  INNER JOIN tasks AS t ON t.workflow_id = w.id
  WHERE t.hash IS NOT NULL AND t.status IN ('COMPLETED', 'CACHED')
),

executed AS (
  SELECT
    session_id, run_id, submit, task_id, hash,
    lead(submit) OVER (PARTITION BY session_id, hash ORDER BY submit, task_id) AS next_submit
  FROM source
  WHERE status = 'COMPLETED'
)

SELECT DISTINCT e.run_id, e.task_id
FROM executed AS e
INNER JOIN source AS c ON c.session_id = e.session_id AND c.hash = e.hash AND c.status = 'CACHED'
WHERE c.submit > e.submit AND (e.next_submit IS NULL OR c.submit <= e.next_submit)
