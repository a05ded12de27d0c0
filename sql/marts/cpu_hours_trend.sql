-- Grain: pipeline, revision, month of submission, currency and source of cost. Units: hours, USD;
-- `change` is a ratio: 0.1 is 10 % more CPU hours per run.
WITH monthly AS (
  SELECT
    s.pipeline,
    s.revision,
    s.month,
    s.currency,
    s.cost_source,
    count(*) AS runs,
    sum(s.cpu_hours) AS cpu_hours,
    avg(
      CASE WHEN s.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN s.cpu_hours END
    ) AS cpu_hours_per_run,
    sum(s.cost_usd) AS cost_usd,
    min(r.submitted_at) AS first_at
  FROM stg_run_spend AS s
  INNER JOIN stg_runs AS r ON r.run_id = s.run_id
  GROUP BY s.pipeline, s.revision, s.month, s.currency, s.cost_source
),

ordered AS (
  SELECT
    pipeline, revision, month, currency, cost_source, runs, cpu_hours, cpu_hours_per_run, cost_usd,
    row_number() OVER (PARTITION BY pipeline, revision, currency, cost_source ORDER BY month) AS nth,
    lag(cpu_hours_per_run)
      OVER (PARTITION BY pipeline, revision, currency, cost_source ORDER BY month) AS own_before,
    lag(cpu_hours_per_run)
      OVER (PARTITION BY pipeline, currency, cost_source ORDER BY month, first_at, revision)
      AS other_before,
    lag(revision)
      OVER (PARTITION BY pipeline, currency, cost_source ORDER BY month, first_at, revision)
      AS other_revision
  FROM monthly
),

compared AS (
  SELECT
    pipeline, revision, month, currency, cost_source, runs, cpu_hours, cpu_hours_per_run, cost_usd,
    CASE WHEN nth > 1 THEN own_before ELSE other_before END AS before,
    CASE WHEN nth > 1 THEN revision ELSE other_revision END AS compared_revision
  FROM ordered
)

SELECT
  pipeline,
  revision,
  month,
  currency,
  cost_source,
  runs,
  round(cpu_hours, 2) AS cpu_hours,
  round(cpu_hours_per_run, 4) AS cpu_hours_per_run,
  compared_revision,
  round(cpu_hours_per_run / nullif(before, 0) - 1, 4) AS change,
  round(cost_usd, 6) AS cost_usd
FROM compared
ORDER BY pipeline, revision, month
