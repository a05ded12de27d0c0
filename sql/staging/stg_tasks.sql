-- Grain: attempt of a task. Units: seconds, hours, GiB, USD, percent; times are UTC.
WITH source AS (
  SELECT
    r.run_id, r.task_id, hash, process, name, tag, status, attempt, exit_code, error_action,
    error_message, submitted_at, started_at, ended_at, wait_seconds, run_seconds, cpus,
    used_cpus, requested_gib, used_gib, disk_read_gib, disk_written_gib, read_gib, written_gib,
    executor, queue, compute_env, machine_type, cloud_zone, price_model, num_spot_interruptions,
    machine_vcpus, machine_gpus, gib_per_vcpu, billed_vcpus, allocated_gpus, gpu_name, gpu_percent,
    gpu_peak_percent, gpu_gib, gpu_peak_gib,
    CASE WHEN ran_seconds >= 0 THEN ran_seconds END AS ran_seconds,
    status IS NOT DISTINCT FROM 'CACHED' AS cached,
    coalesce(status = 'FAILED' AND coalesce(run_seconds, 0) < 1, FALSE) AS never_ran,
    coalesce(status = 'FAILED' AND lower(price_model) = 'spot' AND (
      num_spot_interruptions > 0 OR exit_code IN ('143', '50001', '2147483647')
    ), FALSE) AS spot_lost,
    coalesce(
      allocated_gpus > 0, gpu_name IS NOT NULL OR gpu_percent IS NOT NULL OR machine_gpus > 0, FALSE
    ) AS has_accelerator,
    coalesce(cost_usd, p.cost) AS cost_usd,
    CASE WHEN cost_usd IS NULL AND p.task_id IS NOT NULL THEN 'price_list' ELSE 'platform' END
      AS cost_source,
    coalesce(CASE WHEN cost_usd IS NULL THEN p.currency END, 'USD') AS currency
  FROM stg_task_records AS r
  LEFT JOIN stg_list_prices AS p ON p.run_id = r.run_id AND p.task_id = r.task_id
)

SELECT
  run_id, task_id, hash, process, name, tag, status, cached, attempt, exit_code, error_action,
  error_message, submitted_at, started_at, ended_at, never_ran, spot_lost,
  coalesce(status = 'FAILED' AND exit_code IN ('134', '137', '139', '140', '247'), FALSE)
    AND NOT spot_lost AS out_of_memory,
  CASE WHEN NOT cached AND NOT never_ran AND wait_seconds >= 0 THEN wait_seconds END
    AS wait_seconds,
  CASE WHEN NOT cached THEN ran_seconds END AS ran_seconds,
  CASE WHEN NOT cached THEN run_seconds END AS run_seconds,
  CASE
    WHEN NOT cached AND ran_seconds IS NOT NULL AND run_seconds IS NOT NULL
    THEN greatest(ran_seconds - run_seconds, 0)
  END AS staged_seconds,
  currency,
  cost_source,
  CASE WHEN NOT cached THEN cost_usd END AS cost_usd,
  CASE WHEN cached THEN cost_usd END AS saved_usd,
  CASE WHEN NOT cached THEN cpus * ran_seconds / 3600 END AS cpu_hours,
  CASE WHEN NOT cached THEN cpus * run_seconds / 3600 END AS compute_cpu_hours,
  CASE WHEN NOT cached THEN used_cpus * run_seconds / 3600 END AS used_cpu_hours,
  CASE WHEN cached THEN cpus * ran_seconds / 3600 END AS saved_cpu_hours,
  cpus, used_cpus, requested_gib, used_gib, disk_read_gib, disk_written_gib, read_gib, written_gib,
  executor, queue, compute_env, machine_type, cloud_zone, price_model, num_spot_interruptions,
  machine_vcpus, gib_per_vcpu, billed_vcpus, has_accelerator,
  CASE
    WHEN has_accelerator
    THEN coalesce(
      CAST(nullif(allocated_gpus, 0) AS DOUBLE), machine_gpus * billed_vcpus / machine_vcpus
    )
  END AS accelerators,
  gpu_name AS accelerator_name, gpu_percent, gpu_peak_percent, gpu_gib, gpu_peak_gib
FROM source
