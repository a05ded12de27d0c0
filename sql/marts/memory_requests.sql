-- Which processes ask for more memory than they use, what to ask for, and what that would save.
-- Grain: process. Units: GiB, GiB hours, USD, ratio. `recommended_gib` is the 95th percentile of
-- the peaks of completed tasks and a quarter more, in whole GiB; not below what is requested
-- where tasks were killed (137). `saves_usd` holds where memory alone sets the price: at most.
WITH measured AS (
  SELECT
    process,
    count(*) AS tasks,
    avg(requested_gib) AS requested_gib,
    avg(used_gib) AS used_gib,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY used_gib) AS high_gib,
    max(used_gib) AS most_used_gib,
    sum(requested_gib) / sum(used_gib) AS requested_over_used,
    sum(requested_gib * run_seconds) / 3600 AS gib_hours,
    sum(run_seconds) / 3600 AS hours,
    sum(cost_usd) AS cost_usd
  FROM stg_tasks
  WHERE status = 'COMPLETED' AND requested_gib > 0 AND used_gib > 0
  GROUP BY process
),

killed AS (
  SELECT process, count(*) AS tasks
  FROM stg_tasks
  WHERE status = 'FAILED' AND exit_code = '137'
  GROUP BY process
),

recommended AS (
  SELECT
    m.process, m.tasks, m.requested_gib, m.used_gib, m.most_used_gib, m.requested_over_used,
    m.gib_hours, m.hours, m.cost_usd,
    coalesce(k.tasks, 0) AS killed_tasks,
    CASE
      WHEN k.tasks > 0 THEN greatest(ceil(m.high_gib * 1.25), ceil(m.requested_gib))
      ELSE ceil(m.high_gib * 1.25)
    END AS recommended_gib
  FROM measured AS m
  LEFT JOIN killed AS k ON k.process = m.process
),

saved AS (
  SELECT
    process, tasks, requested_gib, used_gib, most_used_gib, requested_over_used,
    gib_hours, cost_usd, killed_tasks, recommended_gib,
    CASE
      WHEN recommended_gib < requested_gib THEN greatest(gib_hours - recommended_gib * hours, 0)
      ELSE 0
    END AS saved_gib_hours
  FROM recommended
)

SELECT
  process,
  tasks,
  round(requested_gib, 2) AS requested_gib,
  round(used_gib, 2) AS used_gib,
  round(most_used_gib, 2) AS most_used_gib,
  round(requested_over_used, 1) AS requested_over_used,
  killed_tasks,
  CAST(recommended_gib AS BIGINT) AS recommended_gib,
  round(saved_gib_hours, 2) AS saves_gib_hours,
  round(cost_usd * saved_gib_hours / nullif(gib_hours, 0), 6) AS saves_usd
FROM saved
ORDER BY saves_gib_hours DESC NULLS LAST, process
