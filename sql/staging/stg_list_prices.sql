-- What each task costs by the price list.
-- Grain: task that a line of the list matches, CACHED ones included. Units: `cost` is in `currency`.
-- The first line that matches applies. Hours are from start to end (clock ran) or of the command
-- (run); CPUs and memory are added (combine sum), or the larger counts (max), as clouds bill.
WITH asked AS (
  SELECT
    t.workflow_id AS run_id,
    t.task_id,
    lower(coalesce(t.executor, '')) AS executor,
    lower(coalesce(t.queue, '')) AS queue,
    lower(coalesce(t.machine_type, '')) AS machine_type,
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
  SELECT a.run_id, a.task_id, min(p.rank) AS rank
  FROM asked AS a
  INNER JOIN price_list AS p
    ON a.executor LIKE p.executor ESCAPE '^'
    AND a.queue LIKE p.queue ESCAPE '^'
    AND a.machine_type LIKE p.machine_type ESCAPE '^'
    AND a.workspace LIKE p.workspace ESCAPE '^'
    AND (p.valid_from_ms IS NULL OR p.valid_from_ms <= a.started_ms)
  GROUP BY a.run_id, a.task_id
),

priced AS (
  SELECT
    a.*,
    p.*
  FROM asked AS a
  INNER JOIN ranked AS r ON r.run_id = a.run_id AND r.task_id = a.task_id
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
