-- Grain: attempt of a task. Units: seconds, GiB, USD, percent; times are UTC.
WITH machines AS (
  SELECT
    lower(machine_type) AS machine_type,
    nullif(max(vcpus), 0) AS vcpus,
    max(gpus) AS gpus,
    nullif(max(memory_gib), 0) / nullif(max(vcpus), 0) AS gib_per_vcpu
  FROM machine_types
  GROUP BY lower(machine_type)
),

source AS (
  SELECT
    t.workflow_id, t.task_id, t.hash, t.process, t.name, t.tag, t.status, t.attempt, t.exit,
    t.exit_status, t.error_action, t.error_message, t.submit, t.start, t.complete, t.realtime,
    t.cost, t.cpus, t.pcpu, t.peak_rss, t.read_bytes, t.write_bytes, t.rchar, t.wchar,
    t.executor, t.queue, t.machine_type, t.cloud_zone, t.price_model, t.num_spot_interruptions,
    t.resource_allocation__accelerator_count, t.resource_allocation__accelerator_name,
    t.gpu_metrics__name, t.gpu_metrics__pct, t.gpu_metrics__peak, t.gpu_metrics__mem,
    t.gpu_metrics__peak_mem_used,
    c.name AS compute_env, m.vcpus, m.gpus,
    CAST(t.memory AS DOUBLE) / 1073741824 AS requested_gib,
    coalesce(m.gib_per_vcpu, CASE
      WHEN substr(t.machine_type, 2, 1) BETWEEN '5' AND '9' AND t.machine_type LIKE '%.%'
      THEN CASE left(t.machine_type, 1) WHEN 'c' THEN 2.0 WHEN 'm' THEN 4.0 WHEN 'r' THEN 8.0 END
    END) AS gib_per_vcpu
  FROM tasks AS t
  LEFT JOIN machines AS m ON m.machine_type = lower(t.machine_type)
  LEFT JOIN compute_envs AS c
    ON c.id = CASE WHEN t.queue LIKE 'TowerForge-%' THEN split_part(t.queue, '-', 2) END
)

SELECT
  workflow_id AS run_id,
  task_id,
  hash,
  coalesce(process, 'unknown') AS process,
  name,
  tag,
  status,
  coalesce(attempt, 1) AS attempt,
  coalesce(nullif(nullif(exit, '-'), ''), CAST(exit_status AS TEXT), 'none') AS exit_code,
  error_action,
  error_message,
  submit AS submitted_at,
  start AS started_at,
  complete AS ended_at,
  CAST(epoch_ms(start) - epoch_ms(submit) AS DOUBLE) / 1000 AS wait_seconds,
  CAST(epoch_ms(complete) - epoch_ms(start) AS DOUBLE) / 1000 AS ran_seconds,
  CAST(realtime AS DOUBLE) / 1000 AS run_seconds,
  cost AS cost_usd,
  cpus,
  pcpu / 100 AS used_cpus,
  requested_gib,
  CAST(peak_rss AS DOUBLE) / 1073741824 AS used_gib,
  CAST(read_bytes AS DOUBLE) / 1073741824 AS disk_read_gib,
  CAST(write_bytes AS DOUBLE) / 1073741824 AS disk_written_gib,
  CAST(rchar AS DOUBLE) / 1073741824 AS read_gib,
  CAST(wchar AS DOUBLE) / 1073741824 AS written_gib,
  coalesce(executor, 'unknown') AS executor,
  coalesce(queue, 'unknown') AS queue,
  compute_env,
  coalesce(machine_type, 'unknown') AS machine_type,
  coalesce(cloud_zone, 'unknown') AS cloud_zone,
  coalesce(price_model, 'unknown') AS price_model,
  num_spot_interruptions,
  vcpus AS machine_vcpus,
  gpus AS machine_gpus,
  gib_per_vcpu,
  CASE
    WHEN gib_per_vcpu IS NOT NULL AND cpus IS NOT NULL
    THEN greatest(CAST(cpus AS DOUBLE), ceil(requested_gib / gib_per_vcpu - 0.000001))
  END AS billed_vcpus,
  resource_allocation__accelerator_count AS allocated_gpus,
  coalesce(gpu_metrics__name, resource_allocation__accelerator_name) AS gpu_name,
  gpu_metrics__pct AS gpu_percent,
  gpu_metrics__peak AS gpu_peak_percent,
  CAST(gpu_metrics__mem AS DOUBLE) / 1024 AS gpu_gib,
  CAST(gpu_metrics__peak_mem_used AS DOUBLE) / 1024 AS gpu_peak_gib
FROM source
