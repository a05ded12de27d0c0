-- Grain: pipeline, revision and measure that the previous revision also has. Units: ratios.
WITH pairs AS (
  SELECT
    r.pipeline, r.revision, n.measure, n.runs, p.runs AS previous_runs,
    n.log_mean, p.log_mean AS previous_log_mean,
    sqrt(n.squared_error + p.squared_error) AS error,
    CASE
      WHEN n.runs < 2 OR p.runs < 2 THEN NULL
      WHEN n.squared_error + p.squared_error = 0 THEN CAST(n.runs + p.runs - 2 AS DOUBLE)
      ELSE power(n.squared_error + p.squared_error, 2) / (
        power(n.squared_error, 2) / (n.runs - 1) + power(p.squared_error, 2) / (p.runs - 1)
      )
    END + 0.000001 AS freedom
  FROM stg_releases AS r
  INNER JOIN stg_release_measures AS n ON n.pipeline = r.pipeline AND n.revision = r.revision
  INNER JOIN stg_release_measures AS p ON p.pipeline = r.pipeline
    AND p.revision = r.previous_revision AND p.measure = n.measure
),

-- the 97.5th percentile of Student's t; the formula is exact to 2 % from 4 degrees of freedom on
bounds AS (
  SELECT
    pipeline, revision, measure, runs, previous_runs, log_mean, previous_log_mean,
    error * CASE
      WHEN freedom < 2 THEN 12.706
      WHEN freedom < 3 THEN 4.303
      WHEN freedom < 4 THEN 3.182
      ELSE 1.96 + 2.372 / floor(freedom) + 2.823 / power(floor(freedom), 2)
    END AS margin
  FROM pairs
)

SELECT
  pipeline,
  revision,
  measure,
  runs,
  previous_runs,
  exp(log_mean) AS typical,
  exp(previous_log_mean) AS previous_typical,
  exp(log_mean - previous_log_mean) AS ratio,
  -- An interval of more than a factor of ten to either side says nothing.
  exp(log_mean - previous_log_mean - CASE WHEN margin <= ln(10) THEN margin END) AS ratio_low,
  exp(log_mean - previous_log_mean + CASE WHEN margin <= ln(10) THEN margin END) AS ratio_high
FROM bounds
