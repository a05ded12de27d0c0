-- When each task held a share of a machine, and how large, by each name of where it ran.
-- Grain: task and name (queue, or name or id of its compute environment). Units: milliseconds since
-- 1970, vCPUs. The share is what the platform bills: the larger of CPUs and of memory in GiB over the
-- GiB per vCPU of AWS families (c 2, m 4, r 8), rounded up; elsewhere the CPUs. All runs are here,
-- whatever a question is about: a cost is shared among all tasks that ran at its time.
WITH sized AS (
  SELECT
    t.workflow_id AS run_id,
    t.task_id,
    t.queue,
    coalesce(c.name, l.compute_env__name) AS compute_env,
    l.compute_env__id AS compute_env_id,
    epoch_ms(t.start) AS started_ms,
    epoch_ms(t.complete) AS ended_ms,
    coalesce(t.cpus, 1) AS cpus,
    ceil(
      CAST(t.memory AS DOUBLE) / 1073741824 / CASE substr(t.machine_type, 1, 1)
        WHEN 'c' THEN 2
        WHEN 'm' THEN 4
        WHEN 'r' THEN 8
      END
    ) AS memory_cpus
  FROM tasks AS t
  LEFT JOIN workflows AS w ON w.id = t.workflow_id
  LEFT JOIN launches AS l ON l.id = w.launch_id
  LEFT JOIN compute_envs AS c ON c.id = l.compute_env__id
  WHERE t.status IS DISTINCT FROM 'CACHED' AND t.complete > t.start
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
  greatest(s.cpus, coalesce(s.memory_cpus, 0)) AS billed_cpus
FROM sized AS s
INNER JOIN named AS n ON n.run_id = s.run_id AND n.task_id = s.task_id
WHERE n.place IS NOT NULL
