-- Grain: pipeline and revision with a run that ended, beside the revision before it by first
-- submission. Units: runs, ratios; times are UTC.
WITH outcomes AS (
  SELECT
    pipeline,
    revision,
    min(submitted_at) AS first_submitted_at,
    count(*) AS runs,
    CAST(count(CASE WHEN status = 'FAILED' THEN 1 END) AS DOUBLE) AS failed,
    CAST(count(CASE WHEN status IN ('SUCCEEDED', 'FAILED') THEN 1 END) AS DOUBLE) AS rated
  FROM stg_runs
  WHERE status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
  GROUP BY pipeline, revision
),

rates AS (
  SELECT
    pipeline, revision, first_submitted_at, runs,
    failed / nullif(rated, 0) AS failure_rate,
    (failed + 1.9208) / (rated + 3.8416) AS middle,
    1.96 * sqrt(failed * (rated - failed) / nullif(rated, 0) + 0.9604) / (rated + 3.8416) AS margin
  FROM outcomes
)

SELECT
  pipeline,
  revision,
  lag(revision) OVER (PARTITION BY pipeline ORDER BY first_submitted_at, revision)
    AS previous_revision,
  first_submitted_at,
  runs,
  failure_rate,
  middle - margin AS failure_rate_low,
  middle + margin AS failure_rate_high
FROM rates
