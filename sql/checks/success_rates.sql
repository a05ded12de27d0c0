-- Every run that ended is counted once, in one way.
SELECT pipeline
FROM success_rates
WHERE ended_runs <> succeeded_runs + failed_runs + cancelled_runs OR results > sessions
UNION ALL
SELECT 'all'
FROM (SELECT coalesce(sum(ended_runs), 0) AS runs FROM success_rates) AS listed
CROSS JOIN (
  SELECT count(*) AS runs
  FROM workflows
  WHERE status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
) AS ended
WHERE listed.runs <> ended.runs
