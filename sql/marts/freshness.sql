-- Grain: workspace. Times are UTC.
SELECT
  workspace_id,
  workspace,
  count(*) AS runs,
  count(CASE WHEN status IN ('SUBMITTED', 'RUNNING', 'UNKNOWN') THEN 1 END) AS open_runs,
  count(missing_since) AS missing_runs,
  min(submitted_at) AS first_submitted_at,
  max(submitted_at) AS last_submitted_at
FROM stg_runs
GROUP BY workspace_id, workspace
ORDER BY runs DESC, workspace, workspace_id
