-- Grain: run and sample. No units.
WITH tagged AS (
  SELECT run_id, tag, count(DISTINCT process) AS processes
  FROM stg_tasks
  WHERE tag IS NOT NULL AND lower(tag) NOT IN ('', 'null')
  GROUP BY run_id, tag
),

widest AS (
  SELECT run_id, max(processes) AS processes
  FROM tagged
  GROUP BY run_id
)

SELECT t.run_id, t.tag AS sample
FROM tagged AS t
INNER JOIN widest AS w ON w.run_id = t.run_id
WHERE 4 * t.processes > w.processes
