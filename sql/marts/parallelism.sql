-- Grain: run and hour (UTC) between its first and last task, without gaps for 10,000 hours.
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

hourly AS (
  SELECT
    run_id,
    at_ms // 3600000 AS hour_number,
    sum(tasks) AS tasks,
    sum(cpus) AS cpus,
    sum(tasks * (3600000 - at_ms % 3600000)) AS task_ms,
    sum(cpus * (3600000 - at_ms % 3600000)) AS cpu_ms
  FROM events
  GROUP BY run_id, at_ms // 3600000
),

spans AS (
  SELECT run_id, min(hour_number) AS first_hour, max(hour_number) - min(hour_number) AS last_step
  FROM hourly
  GROUP BY run_id
),

digits(d) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)),

hours AS (
  SELECT s.run_id, s.first_hour + 1000 * k.d + 100 * h.d + 10 * t.d + u.d AS hour_number
  FROM spans AS s
  INNER JOIN digits AS k ON 1000 * k.d <= s.last_step
  INNER JOIN digits AS h ON 1000 * k.d + 100 * h.d <= s.last_step
  INNER JOIN digits AS t ON 1000 * k.d + 100 * h.d + 10 * t.d <= s.last_step
  INNER JOIN digits AS u ON 1000 * k.d + 100 * h.d + 10 * t.d + u.d <= s.last_step
),

carried AS (
  SELECT
    h.run_id,
    h.hour_number,
    CAST(coalesce(e.task_ms, 0) AS DOUBLE) / 3600000 - coalesce(e.tasks, 0)
      + sum(coalesce(e.tasks, 0)) OVER (PARTITION BY h.run_id ORDER BY h.hour_number)
      AS average_tasks,
    CAST(coalesce(e.cpu_ms, 0) AS DOUBLE) / 3600000 - coalesce(e.cpus, 0)
      + sum(coalesce(e.cpus, 0)) OVER (PARTITION BY h.run_id ORDER BY h.hour_number)
      AS average_cpus
  FROM hours AS h
  LEFT JOIN hourly AS e ON e.run_id = h.run_id AND e.hour_number = h.hour_number
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
