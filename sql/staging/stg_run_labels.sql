-- Grain: run and text of a label.
WITH renamed AS (
  SELECT
    c.workflow_id AS run_id,
    coalesce(l.name, 'label ' || CAST(c.label_id AS TEXT)) AS label_name,
    l.value AS label_value
  FROM workflow_labels AS c
  LEFT JOIN labels AS l ON l.id = c.label_id
)
SELECT DISTINCT
  run_id,
  label_name || coalesce('=' || label_value, '') AS label,
  label_name,
  label_value
FROM renamed
