-- Samples of each run: those of its tags that are on many of its processes.
-- Grain: run and sample. A tag on a quarter of the processes of the run's widest tag, or on fewer, is
-- of the whole run: a genome, an index, a report of all samples.
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
