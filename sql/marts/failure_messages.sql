-- Which error messages come again and again, whatever names and numbers are in them.
-- Grain: origin (run or task) and normal form of a message. Its first line counts, with tags,
-- paths, hashes and numbers taken out. Times are UTC.
WITH failed AS (
  SELECT 'task' AS origin, run_id, error_message, ended_at
  FROM stg_tasks
  WHERE status = 'FAILED' AND error_message IS NOT NULL
  UNION ALL
  SELECT 'run' AS origin, run_id, error_message, ended_at
  FROM stg_runs
  WHERE status = 'FAILED' AND error_message IS NOT NULL
),

lines AS (
  SELECT origin, run_id, ended_at, left(split_part(trim(error_message), chr(10), 1), 500) AS line
  FROM failed
),

untagged AS (
  SELECT origin, run_id, ended_at, line, regexp_replace(line, ' [(][^`]*[)]`', '`', 'g') AS form
  FROM lines
),

pathless AS (
  SELECT
    origin, run_id, ended_at, line,
    regexp_replace(form, '([a-z0-9]+:/)?(/[A-Za-z0-9_.+=@%-]+){2,}/?', '<path>', 'g') AS form
  FROM untagged
),

normal AS (
  SELECT
    origin, run_id, ended_at, line,
    regexp_replace(
      regexp_replace(form, '[0-9a-f]{2}/[0-9a-f]{6,}|[0-9a-f-]{12,}', '<hash>', 'g'),
      '[0-9]+', '<n>', 'g'
    ) AS form
  FROM pathless
)

SELECT
  origin,
  form AS message,
  count(*) AS times,
  count(DISTINCT run_id) AS runs,
  min(ended_at) AS first_at,
  max(ended_at) AS last_at,
  min(line) AS example
FROM normal
GROUP BY origin, form
ORDER BY times DESC, origin, message
