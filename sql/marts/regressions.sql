-- Which processes became slower or dearer in a run than in the runs before it.
-- Grain: run and process, only those half as slow or dear again. Units: minutes and USD a task, and
-- ratios. The history is the up to 10 runs of the pipeline before it with that process, 3 at least.
WITH per_run AS (
  SELECT
    run_id,
    process,
    count(*) AS tasks,
    avg(run_seconds) / 60 AS minutes,
    avg(cost_usd) AS usd
  FROM stg_tasks
  WHERE status = 'COMPLETED'
  GROUP BY run_id, process
),

compared AS (
  SELECT
    r.pipeline, p.process, p.run_id, r.run_name, r.revision, r.submitted_at,
    p.tasks, p.minutes, p.usd,
    count(*) OVER earlier AS earlier_runs,
    avg(p.minutes) OVER earlier AS usual_minutes,
    avg(p.usd) OVER earlier AS usual_usd
  FROM per_run AS p
  INNER JOIN stg_runs AS r ON r.run_id = p.run_id
  WINDOW earlier AS (
    PARTITION BY r.pipeline, p.process
    ORDER BY r.submitted_at, p.run_id
    ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING
  )
),

rated AS (
  SELECT
    pipeline, process, run_id, run_name, revision, submitted_at,
    tasks, minutes, usd, earlier_runs, usual_minutes, usual_usd,
    minutes / nullif(usual_minutes, 0) AS slower,
    usd / nullif(usual_usd, 0) AS dearer
  FROM compared
  WHERE earlier_runs >= 3
)

SELECT
  pipeline,
  process,
  run_id,
  run_name,
  revision,
  submitted_at,
  tasks,
  earlier_runs,
  round(minutes, 2) AS minutes_per_task,
  round(usual_minutes, 2) AS usual_minutes,
  round(slower, 2) AS times_slower,
  round(usd, 6) AS usd_per_task,
  round(usual_usd, 6) AS usual_usd,
  round(dearer, 2) AS times_dearer
FROM rated
WHERE slower >= 1.5 OR dearer >= 1.5
ORDER BY submitted_at DESC NULLS LAST, run_id, process
