-- Grain: task that a line of the price list matches. Units: `cost` is in `currency`.
-- The view reads `tasks`, because `stg_task_records` would read the machine types once more per use.
WITH source AS (
  SELECT
    t.workflow_id AS run_id,
    t.task_id,
    lower(coalesce(t.executor, 'unknown')) AS executor,
    lower(coalesce(t.queue, 'unknown')) AS queue,
    lower(coalesce(t.machine_type, 'unknown')) AS machine_type,
    lower(coalesce(s.org_name || '/' || s.name, w.org_name || '/' || w.workspace_name, 'personal'))
      AS workspace,
    epoch_ms(coalesce(t.start, t.submit, w.submit)) AS started_ms,
    CAST(epoch_ms(t.complete) - epoch_ms(t.start) AS DOUBLE) / 3600000 AS ran_hours,
    CAST(t.realtime AS DOUBLE) / 3600000 AS run_hours,
    coalesce(t.cpus, 1) AS cpus,
    CAST(coalesce(t.memory, 0) AS DOUBLE) / 1073741824 AS gib,
    coalesce(t.resource_allocation__accelerator_count, 0) AS gpus
  FROM tasks AS t
  LEFT JOIN workflows AS w ON w.id = t.workflow_id
  LEFT JOIN workspaces AS s ON s.id = w.workspace_id
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
