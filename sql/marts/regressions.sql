-- Grain: run and process, of runs that ended. Units: minutes and USD a task, and ratios.
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
    p.run_id, p.process, count(*) AS earlier_runs, count(e.usd) AS priced_runs,
    min(e.minutes) AS least_minutes, max(e.minutes) AS most_minutes,
    percentile_cont(0.25) WITHIN GROUP (ORDER BY e.minutes) AS low_minutes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY e.minutes) AS usual_minutes,
    percentile_cont(0.75) WITHIN GROUP (ORDER BY e.minutes) AS high_minutes,
    min(e.usd) AS least_usd, max(e.usd) AS most_usd,
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
    p.pipeline, p.process, p.run_id, p.run_name, p.revision, p.submitted_at, p.tasks, p.minutes,
    p.usd, h.earlier_runs, h.usual_minutes, h.usual_usd, h.least_minutes, h.most_minutes,
    h.least_usd, h.most_usd,
    p.minutes >= 1.5 * h.usual_minutes AND p.minutes >= h.usual_minutes + 1 AND CASE
      WHEN h.earlier_runs < 8 THEN p.minutes > h.most_minutes
      ELSE p.minutes > h.high_minutes * power(h.high_minutes / nullif(h.low_minutes, 0), 3)
    END AS slower,
    p.usd >= 1.5 * h.usual_usd AND p.usd >= h.usual_usd + 0.01 AND CASE
      WHEN h.priced_runs < 8 THEN p.usd > h.most_usd
      ELSE p.usd > h.high_usd * power(h.high_usd / nullif(h.low_usd, 0), 3)
    END AS more_expensive
  FROM per_run AS p
  INNER JOIN history AS h ON h.run_id = p.run_id AND h.process = p.process
)

SELECT
  pipeline, process, run_id, run_name, revision, submitted_at, tasks, earlier_runs,
  CASE WHEN earlier_runs >= 8 THEN 'high' WHEN earlier_runs >= 3 THEN 'medium' ELSE 'low' END
    AS confidence,
  round(minutes, 2) AS minutes_per_task,
  round(usual_minutes, 2) AS usual_minutes,
  round(minutes / nullif(usual_minutes, 0), 2) AS duration_ratio,
  round(minutes / nullif(most_minutes, 0), 2) AS duration_ratio_low,
  round(minutes / nullif(least_minutes, 0), 2) AS duration_ratio_high,
  'USD' AS currency,
  'platform' AS cost_source,
  round(usd, 6) AS usd_per_task,
  round(usual_usd, 6) AS usual_usd,
  round(usd / nullif(usual_usd, 0), 2) AS cost_ratio,
  round(usd / nullif(most_usd, 0), 2) AS cost_ratio_low,
  round(usd / nullif(least_usd, 0), 2) AS cost_ratio_high
FROM rated
WHERE slower OR more_expensive
ORDER BY submitted_at DESC NULLS LAST, run_id, process
