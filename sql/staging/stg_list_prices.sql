-- Grain: task that a line of the price list matches. Units: `cost` is in `currency`.
WITH source AS (
  SELECT
    t.run_id,
    t.task_id,
    lower(t.executor) AS executor,
    lower(t.queue) AS queue,
    lower(t.machine_type) AS machine_type,
    lower(coalesce(r.workspace, 'personal')) AS workspace,
    epoch_ms(coalesce(t.started_at, t.submitted_at, r.submitted_at)) AS started_ms,
    t.ran_seconds / 3600 AS ran_hours,
    t.run_seconds / 3600 AS run_hours,
    coalesce(t.cpus, 1) AS cpus,
    coalesce(t.requested_gib, 0) AS gib,
    coalesce(t.allocated_gpus, 0) AS gpus
  FROM stg_task_records AS t
  LEFT JOIN stg_runs AS r ON r.run_id = t.run_id
),

ranked AS (
  SELECT s.run_id, s.task_id, min(p.rank) AS rank
  FROM source AS s
  INNER JOIN price_list AS p
    ON s.executor LIKE p.executor ESCAPE '^'
    AND s.queue LIKE p.queue ESCAPE '^'
    AND s.machine_type LIKE p.machine_type ESCAPE '^'
    AND s.workspace LIKE p.workspace ESCAPE '^'
    AND (p.valid_from_ms IS NULL OR p.valid_from_ms <= s.started_ms)
  GROUP BY s.run_id, s.task_id
),

priced AS (
  SELECT
    s.*,
    p.*
  FROM source AS s
  INNER JOIN ranked AS r ON r.run_id = s.run_id AND r.task_id = s.task_id
  INNER JOIN (
    SELECT rank, cpu_hour, gib_hour, gpu_hour, currency, clock, combine FROM price_list
  ) AS p ON p.rank = r.rank
)

SELECT
  run_id,
  task_id,
  currency,
  greatest(CASE WHEN clock = 'run' THEN run_hours ELSE ran_hours END, 0) * (
    CASE
      WHEN combine = 'max' THEN greatest(cpus * cpu_hour, gib * gib_hour)
      ELSE cpus * cpu_hour + gib * gib_hour
    END + gpus * gpu_hour
  ) AS cost
FROM priced
