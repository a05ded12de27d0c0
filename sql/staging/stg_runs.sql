-- Grain: run. Units: seconds; times and months are UTC.
WITH renamed AS (
  SELECT
    w.id AS run_id,
    w.run_name,
    w.workspace_id,
    coalesce(s.org_name || '/' || s.name, w.org_name || '/' || w.workspace_name) AS workspace_name,
    coalesce(w.project_name, w.repository, 'unknown') AS pipeline,
    coalesce(w.revision, 'default') AS revision,
    coalesce(w.user_name, 'unknown') AS user_name,
    w.status,
    coalesce(w.session_id, w.id) AS session_id,
    coalesce(w.resume, FALSE) AS resumed,
    w.submit AS submitted_at,
    w.start AS started_at,
    w.complete AS ended_at,
    CAST(w.duration AS DOUBLE) / 1000 AS duration_seconds,
    coalesce(p.peak_tasks, w.peak_load_tasks) AS peak_tasks,
    coalesce(p.peak_cpus, w.peak_load_cpus) AS peak_cpus,
    l.compute_env__id AS compute_env_id,
    coalesce(c.name, l.compute_env__name) AS compute_env,
    coalesce(l.compute_env__platform, w.platform__id) AS platform,
    c.region,
    coalesce(w.fusion__enabled, FALSE) AS fusion,
    w.cost AS reported_cost,
    w.cost_currency AS reported_currency,
    w.cost_is_estimate AS reported_is_estimate,
    w.error_message,
    w.missing_since
  FROM workflows AS w
  LEFT JOIN workspaces AS s ON s.id = w.workspace_id
  LEFT JOIN workflow_progress AS p ON p.workflow_id = w.id
  LEFT JOIN launches AS l ON l.id = w.launch_id
  LEFT JOIN compute_envs AS c ON c.id = l.compute_env__id
)
SELECT
  run_id,
  run_name,
  workspace_id,
  CASE
    WHEN workspace_id IS NULL THEN 'personal'
    ELSE coalesce(workspace_name, CAST(workspace_id AS TEXT))
  END AS workspace,
  pipeline,
  revision,
  user_name,
  status,
  session_id,
  resumed,
  submitted_at,
  started_at,
  ended_at,
  CAST(date_trunc('month', submitted_at AT TIME ZONE 'UTC') AS DATE) AS month,
  duration_seconds,
  peak_tasks,
  peak_cpus,
  compute_env_id,
  compute_env,
  platform,
  region,
  fusion,
  reported_cost,
  reported_currency,
  reported_is_estimate,
  error_message,
  missing_since
FROM renamed
