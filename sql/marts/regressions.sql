-- Which processes became slower or dearer in a run than in the runs before it.
-- Grain: run and process, of runs that ended. Units: minutes and USD a task, and ratios. The history
-- is the last 20 ended runs of the pipeline before it with that process, 8 at least; usual is their
-- median. Listed is what took or cost half as much again, by a minute or a cent at least, and stands
-- far out: above the upper quartile by more than three times the ratio of the quartiles.
WITH per_run AS (
  SELECT
    r.pipeline, t.process, r.run_id, r.run_name, r.revision, r.submitted_at,
    count(*) AS tasks,
    avg(t.run_seconds) / 60 AS minutes,
    avg(t.cost_usd) AS usd,
    row_number() OVER (
      PARTITION BY r.pipeline, t.process ORDER BY r.submitted_at, r.run_id
    ) AS place
  FROM stg_tasks AS t
  INNER JOIN stg_runs AS r ON r.run_id = t.run_id
  WHERE t.status = 'COMPLETED' AND t.run_seconds IS NOT NULL AND r.submitted_at IS NOT NULL
    AND r.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
  GROUP BY r.pipeline, t.process, r.run_id, r.run_name, r.revision, r.submitted_at
),

history AS (
  SELECT
    p.run_id,
    p.process,
    count(*) AS earlier_runs,
    count(e.usd) AS priced_runs,
    percentile_cont(0.25) WITHIN GROUP (ORDER BY e.minutes) AS low_minutes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY e.minutes) AS usual_minutes,
    percentile_cont(0.75) WITHIN GROUP (ORDER BY e.minutes) AS high_minutes,
    percentile_cont(0.25) WITHIN GROUP (ORDER BY e.usd) AS low_usd,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY e.usd) AS usual_usd,
    percentile_cont(0.75) WITHIN GROUP (ORDER BY e.usd) AS high_usd
  FROM per_run AS p
  INNER JOIN per_run AS e ON e.pipeline = p.pipeline AND e.process = p.process
    AND e.place BETWEEN p.place - 20 AND p.place - 1
  GROUP BY p.run_id, p.process
),

rated AS (
  SELECT
    p.pipeline, p.process, p.run_id, p.run_name, p.revision, p.submitted_at, p.tasks,
    p.minutes, p.usd, h.earlier_runs, h.priced_runs, h.usual_minutes, h.usual_usd,
    h.high_minutes * power(h.high_minutes / nullif(h.low_minutes, 0), 3) AS far_minutes,
    h.high_usd * power(h.high_usd / nullif(h.low_usd, 0), 3) AS far_usd
  FROM per_run AS p
  INNER JOIN history AS h ON h.run_id = p.run_id AND h.process = p.process
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
  round(minutes / nullif(usual_minutes, 0), 2) AS times_slower,
  round(usd, 6) AS usd_per_task,
  round(usual_usd, 6) AS usual_usd,
  round(usd / nullif(usual_usd, 0), 2) AS times_dearer
FROM rated
WHERE
  (
    earlier_runs >= 8 AND minutes > far_minutes
    AND minutes >= 1.5 * usual_minutes AND minutes >= usual_minutes + 1
  ) OR (
    priced_runs >= 8 AND usd > far_usd AND usd >= 1.5 * usual_usd AND usd >= usual_usd + 0.01
  )
ORDER BY submitted_at DESC NULLS LAST, run_id, process
