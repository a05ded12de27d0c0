-- Grain: run and process, of runs that ended. Units: minutes per task, USD per task, ratios.
WITH per_run AS (
  SELECT
    r.pipeline, t.process, r.run_id, r.run_name, r.revision, r.submitted_at,
    count(*) AS tasks,
    avg(t.run_seconds) / 60 AS minutes,
    avg(CASE WHEN t.currency = 'USD' THEN t.cost_usd END) AS usd,
    min(t.cost_source) AS cost_source,
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
    p.run_id, p.process, CAST(count(*) AS DOUBLE) AS runs, CAST(count(e.usd) AS DOUBLE) AS priced,
    percentile_cont(0.25) WITHIN GROUP (ORDER BY e.minutes) AS low_minutes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY e.minutes) AS usual_minutes,
    percentile_cont(0.75) WITHIN GROUP (ORDER BY e.minutes) AS high_minutes,
    stddev_samp(CASE WHEN e.minutes > 0 THEN ln(e.minutes) END) AS minutes_spread,
    percentile_cont(0.25) WITHIN GROUP (ORDER BY e.usd) AS low_usd,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY e.usd) AS usual_usd,
    percentile_cont(0.75) WITHIN GROUP (ORDER BY e.usd) AS high_usd,
    stddev_samp(CASE WHEN e.usd > 0 THEN ln(e.usd) END) AS usd_spread
  FROM per_run AS p
  INNER JOIN per_run AS e ON e.pipeline = p.pipeline AND e.process = p.process
    AND e.place BETWEEN p.place - 20 AND p.place - 1
  GROUP BY p.run_id, p.process
  HAVING count(*) > 1
),

-- the 97.5th percentile of Student's t, and the width of a prediction interval of logarithms
rated AS (
  SELECT
    p.pipeline, p.process, p.run_id, p.run_name, p.revision, p.submitted_at, p.tasks, p.minutes,
    p.usd, p.cost_source, h.runs, h.priced, h.usual_minutes, h.usual_usd,
    p.minutes / nullif(h.usual_minutes, 0) AS slower,
    p.usd / nullif(h.usual_usd, 0) AS costlier,
    h.high_minutes * power(h.high_minutes / nullif(h.low_minutes, 0), 3) AS far_minutes,
    h.high_usd * power(h.high_usd / nullif(h.low_usd, 0), 3) AS far_usd,
    exp(h.minutes_spread * sqrt(1 + 1 / h.runs) * CASE
      WHEN h.runs < 3 THEN 12.706 WHEN h.runs < 4 THEN 4.303 WHEN h.runs < 5 THEN 3.182
      ELSE 1.96 + 2.372 / (h.runs - 1) + 2.823 / power(h.runs - 1, 2)
    END) AS minutes_width,
    exp(h.usd_spread * sqrt(1 + 1 / nullif(h.priced, 0)) * CASE
      WHEN h.priced < 3 THEN 12.706 WHEN h.priced < 4 THEN 4.303 WHEN h.priced < 5 THEN 3.182
      ELSE 1.96 + 2.372 / (h.priced - 1) + 2.823 / power(h.priced - 1, 2)
    END) AS usd_width
  FROM per_run AS p
  INNER JOIN history AS h ON h.run_id = p.run_id AND h.process = p.process
)

SELECT
  pipeline, process, run_id, run_name, revision, submitted_at, tasks,
  CAST(runs AS BIGINT) AS earlier_runs,
  CASE WHEN runs >= 8 THEN 'high' WHEN runs >= 4 THEN 'medium' ELSE 'low' END AS confidence,
  round(minutes, 2) AS minutes_per_task,
  round(usual_minutes, 2) AS usual_minutes,
  round(slower, 2) AS duration_ratio,
  round(slower / minutes_width, 2) AS duration_ratio_low,
  round(slower * minutes_width, 2) AS duration_ratio_high,
  'USD' AS currency,
  cost_source,
  round(usd, 6) AS usd_per_task,
  round(usual_usd, 6) AS usual_usd,
  round(costlier, 2) AS cost_ratio,
  round(costlier / usd_width, 2) AS cost_ratio_low,
  round(costlier * usd_width, 2) AS cost_ratio_high
FROM rated
WHERE (slower >= 1.5 AND minutes >= usual_minutes + 1
    AND CASE WHEN runs < 8 THEN slower > minutes_width ELSE minutes > far_minutes END)
  OR (costlier >= 1.5 AND usd >= usual_usd + 0.01
    AND CASE WHEN priced < 8 THEN costlier > usd_width ELSE usd > far_usd END)
ORDER BY submitted_at DESC NULLS LAST, run_id, process
