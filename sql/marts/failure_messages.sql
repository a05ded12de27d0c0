-- Grain: origin (run or task), exit code and normal form of a message. Times are UTC.
WITH failed AS (
  SELECT 'task' AS origin, run_id, exit_code, error_message, ended_at
  FROM stg_tasks
  WHERE status = 'FAILED' AND error_message IS NOT NULL
  UNION ALL
  SELECT 'run' AS origin, run_id, NULL AS exit_code, error_message, ended_at
  FROM stg_runs
  WHERE status = 'FAILED' AND error_message IS NOT NULL
),

parts AS (
  SELECT
    origin, run_id, ended_at, exit_code, error_message,
    left(trim(split_part(trim(error_message), chr(10), 1)), 500) AS line,
    left(trim(split_part(
      regexp_replace(split_part(error_message, 'Caused by:', 2), '^\s+', ''), chr(10), 1
    )), 500) AS cause
  FROM failed
),

lines AS (
  SELECT
    origin, run_id, ended_at, error_message,
    coalesce(
      nullif(exit_code, 'none'),
      nullif(split_part(split_part(error_message, 'exit status (', 2), ')', 1), ''),
      'none'
    ) AS exit_code,
    CASE
      WHEN cause = '' OR cause = line THEN line ELSE line || ' Caused by: ' || cause
    END AS line
  FROM parts
),

untagged AS (
  SELECT
    origin, run_id, ended_at, exit_code, line,
    regexp_replace(regexp_replace(line, ' [(][^`]*[)]`', '`', 'g'), ' [(][^'']*[)]''', '''', 'g')
      AS form
  FROM lines
),

-- digits between paragraph signs are kept
marked AS (
  SELECT
    origin, run_id, ended_at, exit_code, line,
    regexp_replace(
      regexp_replace(form, '([a-z0-9]+:/)?(/[A-Za-z0-9_.+=@%-]+){2,}/?', '<path>', 'g'),
      '((exit|status|Status|code|Code|error|Error|HTTP|signal)[^0-9A-Za-z]{1,3})([0-9]{1,5})',
      '\1§\3§', 'g'
    ) AS form
  FROM untagged
),

normal AS (
  SELECT
    origin, run_id, ended_at, exit_code, line,
    replace(regexp_replace(
      regexp_replace(form, '[0-9a-f]{2}/[0-9a-f]{6,}|[0-9a-f-]{12,}', '<hash>', 'g'),
      '(^|[^§0-9])[0-9]+', '\1<n>', 'g'
    ), '§', '') AS form
  FROM marked
)

SELECT
  origin,
  exit_code,
  form AS message,
  count(*) AS times,
  count(DISTINCT run_id) AS runs,
  min(ended_at) AS first_at,
  max(ended_at) AS last_at,
  min(line) AS example
FROM normal
GROUP BY origin, exit_code, form
ORDER BY times DESC, origin, message, exit_code
