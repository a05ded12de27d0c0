-- Why tasks fail. Grain: process and exit code. Units: USD. Retried attempts count each.
SELECT
  process,
  coalesce(exit, 'none') AS exit_code,
  CASE coalesce(exit, 'none')
    WHEN '137' THEN 'killed: out of memory, or its node was taken away'
    WHEN '143' THEN 'terminated: time limit, or its node was taken away'
    WHEN '1' THEN 'the command failed'
    WHEN 'none' THEN 'it never reported an exit code'
    ELSE 'the command ended with this code'
  END AS meaning,
  count(*) AS failed_tasks,
  count(DISTINCT workflow_id) AS runs,
  round(sum(cost), 4) AS cost_usd
FROM tasks
WHERE status = 'FAILED'
GROUP BY process, coalesce(exit, 'none')
ORDER BY failed_tasks DESC, process, exit_code
