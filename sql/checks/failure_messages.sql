-- Every message of a failure is counted once.
SELECT failed.n, counted.n AS counted
FROM (
  SELECT count(*) AS n
  FROM (
    SELECT id FROM workflows WHERE status = 'FAILED' AND error_message IS NOT NULL
    UNION ALL
    SELECT workflow_id FROM tasks WHERE status = 'FAILED' AND error_message IS NOT NULL
  ) AS messages
) AS failed
CROSS JOIN (SELECT coalesce(sum(times), 0) AS n FROM failure_messages) AS counted
WHERE failed.n <> counted.n
