-- How many tasks and CPUs each run kept busy, hour by hour, against its peak.
-- Grain: run and hour (UTC) in which a task started or ended; in between nothing changed. Averages
-- over the whole hour; `of_peak` is of the most CPUs that the platform saw in use at once. Each
-- start counts for the rest of its hour, each end takes it back, and what runs on is carried over.
WITH ran AS (
  SELECT run_id, started_at, ended_at, coalesce(cpus, 0) AS cpus
  FROM stg_tasks
  WHERE NOT cached AND (ended_at >= started_at OR (ended_at IS NULL AND status = 'RUNNING'))
),

events AS (
  SELECT run_id, epoch_ms(started_at) AS at_ms, 1 AS tasks, cpus
  FROM ran
  WHERE started_at IS NOT NULL
  UNION ALL
  SELECT run_id, epoch_ms(ended_at) AS at_ms, -1 AS tasks, -cpus AS cpus
  FROM ran
  WHERE ended_at IS NOT NULL
),

timed AS (
  SELECT run_id, at_ms // 3600000 AS hour_number, at_ms % 3600000 AS late_ms, tasks, cpus
  FROM events
),

hourly AS (
  SELECT
    run_id,
    hour_number,
    sum(tasks) AS tasks,
    sum(cpus) AS cpus,
    sum(tasks * (3600000 - late_ms)) AS task_ms,
    sum(cpus * (3600000 - late_ms)) AS cpu_ms
  FROM timed
  GROUP BY run_id, hour_number
),

carried AS (
  SELECT
    run_id,
    hour_number,
    CAST(task_ms AS DOUBLE) / 3600000
      + sum(tasks) OVER (PARTITION BY run_id ORDER BY hour_number) - tasks AS average_tasks,
    CAST(cpu_ms AS DOUBLE) / 3600000
      + sum(cpus) OVER (PARTITION BY run_id ORDER BY hour_number) - cpus AS average_cpus
  FROM hourly
)

SELECT
  c.run_id,
  r.run_name,
  r.pipeline,
  to_timestamp(c.hour_number * 3600) AS hour_at,
  round(c.average_tasks, 3) AS average_tasks,
  round(c.average_cpus, 3) AS average_cpus,
  r.peak_tasks,
  r.peak_cpus,
  round(c.average_cpus / nullif(r.peak_cpus, 0), 4) AS of_peak
FROM carried AS c
INNER JOIN stg_runs AS r ON r.run_id = c.run_id
ORDER BY r.submitted_at DESC NULLS LAST, c.run_id, hour_at
