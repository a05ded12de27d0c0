-- Grain: process. Units: GiB, MiB/s.
WITH measured AS (
  SELECT
    process,
    run_seconds,
    coalesce(read_gib, 0) AS read_gib,
    coalesce(written_gib, 0) AS written_gib,
    coalesce(disk_read_gib, 0) + coalesce(disk_written_gib, 0) AS disk_gib
  FROM stg_tasks
  WHERE NOT cached AND (read_gib IS NOT NULL OR written_gib IS NOT NULL)
),

summed AS (
  SELECT
    process,
    count(*) AS tasks,
    sum(read_gib) AS read_gib,
    sum(written_gib) AS written_gib,
    sum(disk_gib) AS disk_gib,
    sum(read_gib + written_gib) AS moved_gib,
    sum(run_seconds) AS run_seconds
  FROM measured
  GROUP BY process
)

SELECT
  process,
  tasks,
  round(read_gib, 3) AS read_gib,
  round(written_gib, 3) AS written_gib,
  round(disk_gib, 3) AS disk_gib,
  round(moved_gib / tasks, 3) AS gib_per_task,
  round(moved_gib * 1024 / nullif(run_seconds, 0), 2) AS mib_per_second,
  round(moved_gib / nullif(sum(moved_gib) OVER (), 0), 4) AS share_of_io
FROM summed
ORDER BY moved_gib DESC, process
