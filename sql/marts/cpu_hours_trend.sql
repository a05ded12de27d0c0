-- CPU hours of each pipeline and revision, month by month, and how a run compares to the last month.
-- Grain: pipeline, revision and month of submission. Units: hours, USD; `change` is a ratio: 0.1
-- is a tenth more CPU hours a run than in the month before in which it ran. Runs that are open
-- count in sums, and not in what a run takes.
WITH monthly AS (
  SELECT
    pipeline,
    revision,
    month,
    count(*) AS runs,
    sum(cpu_hours) AS cpu_hours,
    avg(
      CASE WHEN status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN cpu_hours END
    ) AS cpu_hours_per_run,
    sum(cost_usd) AS cost_usd
  FROM stg_run_spend
  GROUP BY pipeline, revision, month
),

compared AS (
  SELECT
    pipeline,
    revision,
    month,
    runs,
    cpu_hours,
    cpu_hours_per_run,
    cost_usd,
    lag(cpu_hours_per_run) OVER (PARTITION BY pipeline, revision ORDER BY month) AS before
  FROM monthly
)

SELECT
  pipeline,
  revision,
  month,
  runs,
  round(cpu_hours, 2) AS cpu_hours,
  round(cpu_hours_per_run, 4) AS cpu_hours_per_run,
  round(cpu_hours_per_run / nullif(before, 0) - 1, 4) AS change,
  round(cost_usd, 6) AS cost_usd
FROM compared
ORDER BY pipeline, revision, month
