-- Grain: pipeline. Units: hours, ratio.
WITH ended AS (
  SELECT
    pipeline,
    count(*) AS ended_runs,
    count(CASE WHEN status = 'SUCCEEDED' THEN 1 END) AS succeeded_runs,
    count(CASE WHEN status = 'FAILED' THEN 1 END) AS failed_runs,
    count(CASE WHEN status = 'CANCELLED' THEN 1 END) AS cancelled_runs
  FROM stg_runs
  WHERE status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
  GROUP BY pipeline
),

sessions AS (
  SELECT
    pipeline,
    session_id,
    min(epoch_ms(submitted_at)) AS begun_ms,
    min(CASE WHEN status = 'SUCCEEDED' THEN epoch_ms(ended_at) END) AS result_ms
  FROM stg_runs
  GROUP BY pipeline, session_id
),

waited AS (
  SELECT pipeline, session_id, CAST(result_ms - begun_ms AS DOUBLE) / 3600000 AS hours
  FROM sessions
),

results AS (
  SELECT
    pipeline,
    count(*) AS sessions,
    count(hours) AS results,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS median_hours,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY hours) AS p95_hours
  FROM waited
  GROUP BY pipeline
)

SELECT
  r.pipeline,
  coalesce(e.ended_runs, 0) AS ended_runs,
  coalesce(e.succeeded_runs, 0) AS succeeded_runs,
  coalesce(e.failed_runs, 0) AS failed_runs,
  coalesce(e.cancelled_runs, 0) AS cancelled_runs,
  round(CAST(e.succeeded_runs AS DOUBLE) / e.ended_runs, 4) AS success_rate,
  r.sessions,
  r.results,
  round(r.median_hours, 2) AS median_hours_to_result,
  round(r.p95_hours, 2) AS p95_hours_to_result
FROM results AS r
LEFT JOIN ended AS e ON e.pipeline = r.pipeline
ORDER BY ended_runs DESC, r.pipeline
