-- Every run that ended has as many tasks as its progress counts: at least the tasks that ended
-- (retried and ignored tasks count as failed), and at most also the tasks that never ended.
WITH counted AS (
  SELECT
    workflow_id,
    greatest(coalesce(succeeded, 0), 0)
      + greatest(coalesce(failed, 0), 0)
      + greatest(coalesce(cached, 0), 0)
      + greatest(coalesce(aborted, 0), 0) AS ended,
    greatest(pending, 0) + greatest(submitted, 0) + greatest(running, 0) AS not_ended,
    succeeded + failed + cached + aborted + pending + submitted + running AS complete
  FROM workflow_progress
),
stored AS (
  SELECT workflow_id, count(*) AS tasks
  FROM tasks
  GROUP BY workflow_id
)
SELECT w.id, coalesce(s.tasks, 0) AS tasks, c.ended AS least, c.ended + c.not_ended AS most
FROM workflows AS w
INNER JOIN counted AS c ON c.workflow_id = w.id
LEFT JOIN stored AS s ON s.workflow_id = w.id
WHERE w.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
  AND (
    coalesce(s.tasks, 0) < c.ended
    OR (c.complete IS NOT NULL AND coalesce(s.tasks, 0) > c.ended + c.not_ended)
  )
