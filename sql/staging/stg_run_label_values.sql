-- The value that each run has for each key of its labels `key=value`.
-- Grain: run and key. A run without the key has no row; one with two values of a key, which the
-- platform allows, has the first and the last of them in one text.
WITH parted AS (
  SELECT
    run_id,
    substr(label, 1, strpos(label, '=') - 1) AS label_key,
    substr(label, strpos(label, '=') + 1) AS label_value
  FROM stg_run_labels
  WHERE strpos(label, '=') > 1
)

SELECT
  run_id,
  label_key,
  CASE
    WHEN min(label_value) = max(label_value) THEN min(label_value)
    ELSE min(label_value) || ', ' || max(label_value)
  END AS label_value
FROM parted
GROUP BY run_id, label_key
