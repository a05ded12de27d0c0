-- Grain: run and kind of group. No units.
SELECT run_id, 'revision' AS kind, revision AS value
FROM stg_runs
UNION ALL
SELECT run_id, 'compute_env' AS kind, compute_env AS value
FROM stg_runs
WHERE compute_env IS NOT NULL
UNION ALL
SELECT run_id, 'fusion' AS kind, CASE WHEN fusion THEN 'on' ELSE 'off' END AS value
FROM stg_runs
UNION ALL
SELECT run_id, 'label:' || label_key AS kind, label_value AS value
FROM stg_run_label_values
