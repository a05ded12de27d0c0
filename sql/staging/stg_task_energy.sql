-- Grain: task that ran. Units: kWh, grams per kWh.
WITH used AS (
  SELECT
    t.run_id,
    t.task_id,
    t.process,
    lower(t.machine_type) AS machine_type,
    lower(coalesce(r.platform, t.executor)) AS platform,
    coalesce(r.region, CASE
      WHEN right(t.cloud_zone, 2) IN ('-a', '-b', '-c', '-d', '-e', '-f')
      THEN substr(t.cloud_zone, 1, length(t.cloud_zone) - 2)
      WHEN t.cloud_zone LIKE '%-%-%' AND right(t.cloud_zone, 1) IN ('a', 'b', 'c', 'd', 'e', 'f')
      THEN substr(t.cloud_zone, 1, length(t.cloud_zone) - 1)
      ELSE t.cloud_zone
    END) AS region,
    t.run_seconds / 3600 AS run_hours,
    coalesce(t.used_cpus, t.cpus, 1) AS busy_cpus,
    coalesce(t.requested_gib, 0) AS gib
  FROM stg_tasks AS t
  INNER JOIN stg_runs AS r ON r.run_id = t.run_id
  WHERE NOT t.cached AND t.run_seconds > 0
),

powers AS (
  SELECT m.machine_type, max(length(p.machine_type)) AS width
  FROM (SELECT DISTINCT machine_type FROM used) AS m
  INNER JOIN cpu_power AS p ON m.machine_type LIKE replace(lower(p.machine_type), '*', '%')
  GROUP BY m.machine_type
),

overheads AS (
  SELECT m.platform, max(length(p.platform)) AS width
  FROM (SELECT DISTINCT platform FROM used) AS m
  INNER JOIN power_usage_effectiveness AS p ON m.platform LIKE replace(p.platform, '*', '%')
  GROUP BY m.platform
)

SELECT
  u.run_id,
  u.task_id,
  u.process,
  e.pue * u.run_hours * (u.busy_cpus * c.watts_low + u.gib * 0.3725) / 1000 AS kwh_low,
  e.pue * u.run_hours * (u.busy_cpus * c.watts_high + u.gib * 0.3725) / 1000 AS kwh_high,
  coalesce(g.g_per_kwh, w.g_per_kwh) AS g_per_kwh
FROM used AS u
INNER JOIN powers AS p ON p.machine_type = u.machine_type
INNER JOIN cpu_power AS c
  ON u.machine_type LIKE replace(lower(c.machine_type), '*', '%') AND length(c.machine_type) = p.width
INNER JOIN overheads AS o ON o.platform = u.platform
INNER JOIN power_usage_effectiveness AS e
  ON u.platform LIKE replace(e.platform, '*', '%') AND length(e.platform) = o.width
LEFT JOIN grid_intensity AS g ON g.region = lower(u.region)
LEFT JOIN grid_intensity AS w ON w.region = '*'
