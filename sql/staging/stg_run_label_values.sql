-- Grain: run and key. No units.
SELECT
  run_id,
  label_name AS label_key,
  CASE
    WHEN min(label_value) = max(label_value) THEN min(label_value)
    ELSE min(label_value) || ', ' || max(label_value)
  END AS label_value
FROM stg_run_labels
WHERE label_value IS NOT NULL
GROUP BY run_id, label_name
