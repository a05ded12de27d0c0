-- Grain: task and name of where it ran. Units: milliseconds since 1970, vCPUs.
WITH sized AS (
  SELECT
    t.run_id,
    t.task_id,
    nullif(t.queue, 'unknown') AS queue,
    coalesce(c.name, l.compute_env__name, t.compute_env) AS compute_env,
    l.compute_env__id AS compute_env_id,
    epoch_ms(t.started_at) AS started_ms,
    epoch_ms(t.ended_at) AS ended_ms,
    coalesce(t.billed_vcpus, t.cpus, 1) AS billed_vcpus
  FROM stg_task_records AS t
  LEFT JOIN workflows AS w ON w.id = t.run_id
  LEFT JOIN launches AS l ON l.id = w.launch_id
  LEFT JOIN compute_envs AS c ON c.id = l.compute_env__id
  WHERE t.status IS DISTINCT FROM 'CACHED' AND t.ended_at > t.started_at
),

named AS (
  SELECT run_id, task_id, lower(queue) AS place FROM sized
  UNION
  SELECT run_id, task_id, lower(compute_env) AS place FROM sized
  UNION
  SELECT run_id, task_id, lower(compute_env_id) AS place FROM sized
)

SELECT
  s.run_id,
  s.task_id,
  n.place,
  s.started_ms,
  s.ended_ms,
  s.billed_vcpus
FROM sized AS s
INNER JOIN named AS n ON n.run_id = s.run_id AND n.task_id = s.task_id
WHERE n.place IS NOT NULL
